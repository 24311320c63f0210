"""Tables of ids that double when they are half full, against a dict."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.id_hash_table import code_numbers, code_texts, fill_hashed, fill_numbers
from tests.conftest import read_only

numbers = st.lists(st.one_of(st.integers(-3, 9), st.integers(-(2**63), 2**63 - 1)), max_size=40)
texts = st.lists(
    st.one_of(st.binary(max_size=20), st.sampled_from([b"", b"\0", b"\0\0", b"x" * 8, b"x" * 9])), max_size=40
)


def code_all_numbers(batches: list[list[int]]) -> tuple[list[int], list[int], list[int]]:
    """Rows, distinct ids, and the numbers of ids at which the table was full."""
    slots, known, n = np.full(2, -1, dtype=np.int32), np.empty(1, dtype=np.int64), 0
    rows: list[int] = []
    full = []
    for batch in batches:
        ids, out, begin = read_only(np.array(batch, dtype=np.int64)), np.empty(len(batch), dtype=np.int32), 0
        while True:
            begin, n = code_numbers(ids, begin, out, slots, known, n)
            if begin == len(ids):
                break
            full.append(n)
            slots, known = np.full(2 * len(slots), -1, dtype=np.int32), np.concatenate([known, known])
            fill_numbers(slots, known[:n])
        rows += out.tolist()
    return rows, known[:n].tolist(), full


@given(st.lists(numbers, max_size=3))
def test_integer_rows_equal_those_of_a_dict(batches: list[list[int]]) -> None:
    rows, distinct, full = code_all_numbers(batches)
    flat = [i for batch in batches for i in batch]
    assert distinct == list(dict.fromkeys(flat))
    assert [distinct[row] for row in rows] == flat
    assert full == [2**i for i in range(len(full))]


@pytest.mark.parametrize("step", [1, 2**20, 2**33, -(2**40)])
def test_evenly_spaced_integers_all_have_a_slot(step: int) -> None:
    ids = [i * step for i in range(3000)]
    assert code_all_numbers([ids, ids[::-1]])[0] == [*range(3000), *reversed(range(3000))]


@given(st.lists(texts, max_size=3))
def test_string_rows_equal_those_of_a_dict(batches: list[list[bytes]]) -> None:
    flat = [text for batch in batches for text in batch]
    slots, hashes, n = np.full(2, -1, dtype=np.int32), np.empty(1, dtype=np.uint64), 0
    ends, known = np.zeros(2, dtype=np.int64), np.empty(sum(map(len, flat)), dtype=np.uint8)
    rows: list[int] = []
    for batch in batches:
        offsets = np.concatenate([[0], np.cumsum([len(text) for text in batch])]).astype(np.int64)
        given_texts = read_only(np.frombuffer(b"".join(batch), dtype=np.uint8))
        out, begin = np.empty(len(batch), dtype=np.int32), 0
        while True:
            begin, n = code_texts(given_texts, read_only(offsets), begin, out, slots, hashes, ends, known, n)
            if begin == len(batch):
                break
            assert n == len(hashes)
            slots, hashes = np.full(2 * len(slots), -1, dtype=np.int32), np.concatenate([hashes, hashes])
            ends = np.concatenate([ends, np.zeros(n, dtype=np.int64)])
            fill_hashed(slots, hashes[:n])
        rows += out.tolist()
    distinct = [known[ends[row] : ends[row + 1]].tobytes() for row in range(n)]
    assert distinct == list(dict.fromkeys(flat))
    assert [distinct[row] for row in rows] == flat


def test_strings_of_equal_hash_are_distinguished_by_their_bytes() -> None:
    """A table that holds another text under the hash of the one that is looked up."""
    text = np.frombuffer(b"abcdefghij", dtype=np.uint8)
    offsets, rows = np.array([0, 10], dtype=np.int64), np.empty(1, dtype=np.int32)
    slots, hashes = np.full(8, -1, dtype=np.int32), np.zeros(4, dtype=np.uint64)
    ends, known = np.zeros(5, dtype=np.int64), np.zeros(40, dtype=np.uint8)
    _, n = code_texts(text, offsets, 0, rows, slots, hashes, ends, known, 0)
    for place in (0, 9):  # in the first eight bytes, or after them
        changed = known.copy()
        changed[place] ^= 1
        out = slots.copy()
        _, now = code_texts(text, offsets, 0, rows, out, hashes.copy(), ends.copy(), changed, n)
        assert (n, now, rows[0]) == (1, 2, 1)
    assert code_texts(text, offsets, 0, rows, slots, hashes, ends, known, n) == (1, 1) and rows[0] == 0
