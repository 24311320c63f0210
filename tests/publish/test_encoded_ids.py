"""Ids as UTF-8 in one array of bytes, against one id after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.errors import DataError
from embedrec.publish.encoded_ids import EncodedIds

TEXTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=5), unique=True, max_size=9)


@given(TEXTS, st.data())
@example(["a\0", "", "ä"], None)
@example([], None)
@example(["\0"], None)
@example([""], None)
def test_ids_are_those_of_the_vocabulary(ids: list[str], data: st.DataObject | None) -> None:
    encoded, slow = EncodedIds.of(Vocab(np.array(ids, dtype=object))), [i.encode() for i in ids]
    assert len(encoded) == len(ids) and encoded.tolist() == slow
    assert encoded.lengths.tolist() == [len(i) for i in slow]
    joined = EncodedIds.join(slow)
    assert joined.data == encoded.data and joined.offsets.tolist() == encoded.offsets.tolist()
    if data is not None and ids:
        rows = data.draw(st.lists(st.integers(0, len(ids) - 1)))
        assert encoded.take(np.array(rows, dtype=np.int64)) == [slow[row] for row in rows]
        assert encoded.take(slice(1, 3)) == slow[1:3]


def test_ids_of_one_length_are_a_table() -> None:
    table = EncodedIds.join([b"ab", b"cd", b"ef"]).table()
    assert table is not None and table.tolist() == [[97, 98], [99, 100], [101, 102]]
    assert EncodedIds.join([b"ab", b"c"]).table() is None
    assert EncodedIds.join([]).table() is None


def test_integers_are_written_in_digits() -> None:
    assert EncodedIds.of(Vocab([1, -2])).tolist() == [b"1", b"-2"]


def test_ids_that_are_not_unicode_are_refused() -> None:
    with pytest.raises(DataError, match="not valid Unicode"):
        EncodedIds.of(Vocab(["a", "\ud800"]))
