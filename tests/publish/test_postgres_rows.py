"""Rows in PostgreSQL's binary COPY format, against a decoder of that format."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embedrec.data.result_lists import ResultLists
from embedrec.data.topk import TopK
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.publish.content import PublishContent
from embedrec.publish.encoded_ids import EncodedIds
from embedrec.publish.postgres_rows import (
    HEAD,
    ROWS,
    TAIL,
    column_types,
    id_rows,
    item_type,
    neighbour_rows,
    vector_rows,
)
from tests.publish.content import content, scored_lists


def decode(data: bytes) -> list[list[bytes]]:
    """The fields of binary COPY rows."""
    rows, at = [], 0
    while at < len(data):
        (count,) = struct.unpack_from(">h", data, at)
        at += 2
        fields = []
        for _ in range(count):
            (size,) = struct.unpack_from(">i", data, at)
            fields.append(data[at + 4 : at + 4 + size])
            at += 4 + size
        rows.append(fields)
    assert at == len(data)
    return rows


def joined(pieces: Iterable[tuple[int, bytes, int]], n: int) -> list[list[bytes]]:
    """All rows; checks their numbers and the progress to n items."""
    rows, last = [], 0
    for count, data, done in pieces:
        part = decode(data)
        assert len(part) == count and done >= last
        rows += part
        last = done
    assert last == n
    return rows


def text_or_integer(field: bytes, ids: Any) -> Any:
    return field.decode() if ids is None else struct.unpack(">q", field)[0]


@pytest.mark.parametrize("ids", [None, list(range(-600, 0))])
def test_rows_of_neighbours(ids: Any) -> None:
    some = content(600, 3, ids=ids)
    rows = joined(neighbour_rows(some, 7), 600)
    results: dict[Any, list[tuple[Any, float]]] = {}
    for generation, item, rank, other, score in rows:
        assert struct.unpack(">i", generation) == (7,)
        result = results.setdefault(text_or_integer(item, ids), [])
        result.append((text_or_integer(other, ids), struct.unpack(">f", score)[0]))
        assert struct.unpack(">h", rank) == (len(result),)
    assert results == {item: pairs for item, pairs in scored_lists(some).items() if pairs}


@pytest.mark.parametrize("ids", [None, list(range(-600, 0))])
def test_rows_of_vectors(ids: Any) -> None:
    some = content(600, 3, d=5, ids=ids)
    assert some.vectors is not None
    rows = joined(vector_rows(some, 1 << 20), 600)
    assert [text_or_integer(row[1], ids) for row in rows] == some.vocab.ids.tolist()
    for (generation, _, vector), expected in zip(rows, some.vectors.vectors, strict=True):
        assert struct.unpack(">i", generation) == (1 << 20,)
        assert struct.unpack(">hh", vector[:4]) == (5, 0)
        assert np.frombuffer(vector[4:], ">f4").tobytes() == expected.astype(">f4").tobytes()


def test_the_file_format() -> None:
    """Eleven bytes of signature, no flags, no header extension; the trailer is a row of -1 fields."""
    assert b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0) == HEAD
    assert struct.pack(">h", -1) == TAIL
    assert {"neighbours": neighbour_rows, "vectors": vector_rows} == ROWS


def test_columns_and_types() -> None:
    texts, integers = content(d=6), content(ids=list(range(12)), parts="neighbours")
    assert (item_type(texts.vocab), item_type(integers.vocab)) == ("text", "bigint")
    assert column_types("neighbours", integers) == {
        "item": "bigint", "rank": "smallint", "other": "bigint", "score": "real"
    }  # fmt: skip
    assert column_types("vectors", texts) == {"item": "text", "vector": "vector(6)"}
    histories = replace(texts, made_from={"of": "recommendations"})
    assert list(column_types("neighbours", histories)) == ["history", "rank", "item", "score"]
    sessions = replace(texts, made_from={"of": "sessions"})
    assert list(column_types("neighbours", sessions)) == ["session", "rank", "other", "score"]
    assert list(column_types("vectors", sessions)) == ["session", "vector"]


@pytest.mark.parametrize("part", ["neighbours", "vectors"])
def test_rows_of_chosen_seeds(part: str) -> None:
    some = content(600, 3)
    chosen = np.array([3, 4, 77, 599])
    ids = {some.vocab.id(row) for row in chosen.tolist()}
    expected = [row for row in joined(ROWS[part](some, 1), 600) if row[1].decode() in ids]
    assert joined(ROWS[part](some, 1, chosen), 600) == expected


@pytest.mark.parametrize("ids", [["a", "ä", ""], [5, -7, 2**62]])
def test_rows_of_ids(ids: Any) -> None:
    vocab = Vocab(ids)
    rows = decode(id_rows(vocab, EncodedIds.of(vocab).tolist()))
    assert [text_or_integer(row[0], None if isinstance(ids[0], str) else 1) for row in rows] == ids


def test_scores_keep_their_bits() -> None:
    scores = np.array([[np.float32(1) / 3, 1e-30]], dtype=np.float32)
    top = TopK(np.array([[1, 2]]), scores, Vocab(["a", "b", "c"]))

    def neighbours(rows: np.ndarray, k: int) -> TopK:
        return TopK(top.rows.repeat(len(rows), 0)[:, :k], top.scores.repeat(len(rows), 0)[:, :k], top.vocab)

    rows = joined(neighbour_rows(PublishContent(ResultLists(top.vocab, top.vocab, neighbours, 2), None, 2, {}), 1), 3)
    assert b"".join(row[4] for row in rows[:2]) == scores.astype(">f4").tobytes()


@pytest.mark.parametrize("part", ["neighbours", "vectors"])
def test_an_id_with_a_zero_byte(part: str) -> None:
    message = r"^the id 'a\\x00b' contains a zero byte, which PostgreSQL does not support; repair it$"
    with pytest.raises(DataError, match=message):
        list(ROWS[part](content(3, ids=["a\0b", "c", "d"]), 1))
