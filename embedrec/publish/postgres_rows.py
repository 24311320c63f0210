"""Rows in PostgreSQL's binary COPY format: numbers stay the bits they are, and nothing needs to be quoted.

A row is the number of its fields, int16, and for every field its length, int32, and its bytes, all big-endian. A vector
of pgvector is its dimension, int16, a zero, int16, and float32 numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.publish.content import PublishContent, encoded

COLUMNS = {"neighbours": ("item", "rank", "other", "score"), "vectors": ("item", "vector")}
HEAD = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TAIL = b"\xff\xff"
_ITEMS = 256  # whose rows make one piece


def item_type(publication: PublishContent) -> str:
    """The type of ids."""
    return "bigint" if publication.vocab.integer else "text"


def column_types(part: str, publication: PublishContent) -> dict[str, str]:
    """The columns of "neighbours" or "vectors" and their types."""
    item, vectors = item_type(publication), publication.vectors
    types = {"item": item, "rank": "smallint", "other": item, "score": "real"}
    types["vector"] = f"vector({0 if vectors is None else vectors.dim})"
    return {name: types[name] for name in COLUMNS[part]}


def neighbour_rows(publication: PublishContent, generation: int) -> Iterator[tuple[int, bytes, int]]:
    """Rows of (generation, item, rank, other, score): how many, their bytes, and items so far."""
    ids = _fields(publication.vocab)
    seeds = np.array([_start(5, generation) + i for i in ids], dtype=object)
    others = np.array(ids, dtype=object)
    ranks = np.array([b"\x00\x00\x00\x02" + r.to_bytes(2, "big") for r in range(1, publication.most + 1)], dtype=object)
    for rows, found in publication.neighbour_blocks():
        for start in range(0, len(rows), _ITEMS):
            here = slice(start, start + _ITEMS)
            at = found.rows[here]  # (b, k)
            query, rank = np.nonzero(at >= 0)
            score = np.empty(len(query), dtype=[("length", ">i4"), ("score", ">f4")])
            score["length"], score["score"] = 4, found.scores[here][query, rank]
            pieces = (seeds[rows[here]][query], ranks[rank], others[at[query, rank]], _cut(score))
            text = b"".join(chain.from_iterable(zip(*(p.tolist() for p in pieces), strict=True)))
            yield len(query), text, int(rows[here][-1]) + 1


def vector_rows(publication: PublishContent, generation: int) -> Iterator[tuple[int, bytes, int]]:
    """Rows of (generation, item, vector): how many, their bytes, and items so far."""
    seeds = [_start(3, generation) + i for i in _fields(publication.vocab)]
    for rows, vectors in publication.vector_blocks():
        d = vectors.shape[1]
        field = np.empty(len(rows), dtype=[("length", ">i4"), ("dim", ">i2"), ("zero", ">i2"), ("vector", ">f4", (d,))])
        field["length"], field["dim"], field["zero"], field["vector"] = 4 + 4 * d, d, 0, vectors
        pieces = zip([seeds[row] for row in rows.tolist()], _cut(field).tolist(), strict=True)
        yield len(rows), b"".join(chain.from_iterable(pieces)), int(rows[-1]) + 1


ROWS = {"neighbours": neighbour_rows, "vectors": vector_rows}


def _start(fields: int, generation: int) -> bytes:
    """The beginning of a row: the number of its fields, and the first of them."""
    return fields.to_bytes(2, "big") + b"\x00\x00\x00\x04" + generation.to_bytes(4, "big")


def _fields(vocab: Vocab) -> list[bytes]:
    """The ids as fields: bigint or text. Raises DataError for what no text of PostgreSQL can hold."""
    if vocab.integer:
        return [b"\x00\x00\x00\x08" + i.to_bytes(8, "big", signed=True) for i in vocab.ids.tolist()]
    texts = encoded(vocab)
    bad = next((t for t in texts if b"\x00" in t), None)
    if bad is not None:
        raise DataError(f"the id {bad.decode()!r} holds a zero byte, which PostgreSQL does not take; repair it")
    return [len(t).to_bytes(4, "big") + t for t in texts]


def _cut(records: np.ndarray) -> np.ndarray:
    """Records (m,) as an object array (m,) of their bytes."""
    size, data = records.dtype.itemsize, records.tobytes()
    cut = np.empty(len(records), dtype=object)
    cut[:] = [data[at : at + size] for at in range(0, len(data), size)]
    return cut
