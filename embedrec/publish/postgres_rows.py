"""Rows in PostgreSQL's binary COPY format: numbers keep their bits, and nothing needs quoting.

A row is the number of its fields, int16, and for every field its length, int32, and its bytes, all big-endian. A vector
of pgvector is its dimension, int16, a zero, int16, and float32 numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.publish.content import PublishContent
from embedrec.publish.encoded_ids import EncodedIds

HEAD = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TAIL = b"\xff\xff"
_ITEMS = 256  # items per piece of rows


def item_type(vocab: Vocab) -> str:
    """The PostgreSQL type of ids."""
    return "bigint" if vocab.integer else "text"


def column_types(part: str, content: PublishContent) -> dict[str, str]:
    """The columns of "neighbours" or "vectors", in order, and their types."""
    seed, result = content.columns
    if part == "vectors":
        dim = 0 if content.vectors is None else content.vectors.dim
        return {seed: item_type(content.vocab), "vector": f"vector({dim})"}
    return {seed: item_type(content.vocab), "rank": "smallint", result: item_type(content.results), "score": "real"}


def neighbour_rows(
    content: PublishContent, generation: int, chosen: np.ndarray | None = None
) -> Iterator[tuple[int, bytes, int]]:
    """Rows of (generation, item, rank, other, score): their number, their bytes, and items so far.

    chosen  (m,) int64 rows of the seeds; None for all
    """
    ids = _fields(content.vocab)
    seeds = np.array([_row_start(5, generation) + i for i in ids], dtype=object)
    others = np.array(ids if content.results is content.vocab else _fields(content.results), dtype=object)
    ranks = np.array([b"\x00\x00\x00\x02" + r.to_bytes(2, "big") for r in range(1, content.max_k + 1)], dtype=object)
    for rows, neighbours in content.list_blocks(chosen):
        for start in range(0, len(rows), _ITEMS):
            part = slice(start, start + _ITEMS)
            results = neighbours.rows[part]  # (b, k)
            query, rank = np.nonzero(results >= 0)
            score = np.empty(len(query), dtype=[("length", ">i4"), ("score", ">f4")])
            score["length"], score["score"] = 4, neighbours.scores[part][query, rank]
            pieces = (seeds[rows[part]][query], ranks[rank], others[results[query, rank]], _split_records(score))
            text = b"".join(chain.from_iterable(zip(*(p.tolist() for p in pieces), strict=True)))
            yield len(query), text, int(rows[part][-1]) + 1


def vector_rows(
    content: PublishContent, generation: int, chosen: np.ndarray | None = None
) -> Iterator[tuple[int, bytes, int]]:
    """Rows of (generation, item, vector): their number, their bytes, and items so far; see `neighbour_rows`."""
    seeds = [_row_start(3, generation) + i for i in _fields(content.vocab)]
    for rows, vectors in content.vector_blocks(chosen):
        d = vectors.shape[1]
        field = np.empty(len(rows), dtype=[("length", ">i4"), ("dim", ">i2"), ("zero", ">i2"), ("vector", ">f4", (d,))])
        field["length"], field["dim"], field["zero"], field["vector"] = 4 + 4 * d, d, 0, vectors
        pieces = zip([seeds[row] for row in rows.tolist()], _split_records(field).tolist(), strict=True)
        yield len(rows), b"".join(chain.from_iterable(pieces)), int(rows[-1]) + 1


def id_rows(vocab: Vocab, ids: Sequence[bytes]) -> bytes:
    """Rows of one id each; `ids` are those of `EncodedIds`, of the type of the vocabulary."""
    if vocab.integer:
        return b"".join(b"\x00\x01\x00\x00\x00\x08" + int(i).to_bytes(8, "big", signed=True) for i in ids)
    return b"".join(b"\x00\x01" + len(i).to_bytes(4, "big") + i for i in ids)


ROWS = {"neighbours": neighbour_rows, "vectors": vector_rows}


def _row_start(fields: int, generation: int) -> bytes:
    """The start of a row: the number of its fields, and the generation."""
    return fields.to_bytes(2, "big") + b"\x00\x00\x00\x04" + generation.to_bytes(4, "big")


def _fields(vocab: Vocab) -> list[bytes]:
    """The ids as fields: bigint or text. Raises DataError for a text that PostgreSQL cannot contain."""
    if vocab.integer:
        return [b"\x00\x00\x00\x08" + i.to_bytes(8, "big", signed=True) for i in vocab.ids.tolist()]
    texts = EncodedIds.of(vocab).tolist()
    bad = next((t for t in texts if b"\x00" in t), None)
    if bad is not None:
        raise DataError(f"the id {bad.decode()!r} contains a zero byte, which PostgreSQL does not support; repair it")
    return [len(t).to_bytes(4, "big") + t for t in texts]


def _split_records(records: np.ndarray) -> np.ndarray:
    """Records (m,) as an object array (m,) of their bytes."""
    size, data = records.dtype.itemsize, records.tobytes()
    pieces = np.empty(len(records), dtype=object)
    pieces[:] = [data[at : at + size] for at in range(0, len(data), size)]
    return pieces
