"""Lines of lists, against joins of Python bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.format_lists import Line, Texts, format_lists, format_pairs
from tests.conftest import read_only

WORDS = [b"", b"a", b"bc", "ö€".encode(), b"x" * 70]
K = 3
lists = st.lists(st.lists(st.integers(0, len(WORDS) - 1), max_size=K), max_size=5)


def texts(words: list[bytes]) -> Texts:
    ends = np.concatenate([[0], np.cumsum([len(word) for word in words])]).astype(np.int64)
    return Texts(read_only(data(b"".join(words))), read_only(ends))


def data(text: bytes) -> np.ndarray:
    return np.frombuffer(text, dtype=np.uint8).copy()


def padded(rows: list[list[int]]) -> np.ndarray:
    return np.array([[*row, *[-1] * (K - len(row))] for row in rows], dtype=np.int32).reshape(-1, K)


@given(lists, st.booleans(), st.booleans())
def test_lists_are_formatted_one_a_line(rows: list[list[int]], twice: bool, scored: bool) -> None:
    around = (b"<", b"(", b"=", b";", b",", b">\n")
    start, first, middle, after, between, end = around
    counted = [b"none", b"one:", b"two:", b"three:"]
    seeds = [b"s%d" % q for q in range(len(rows))]
    scores = [b"%d" % (10**i) for i in range(sum(map(len, rows)))]
    left = iter(scores)
    expected = b""
    for seed, row in zip(seeds, rows, strict=True):
        expected += start + seed + counted[len(row)] + (seed if twice and row else b"")
        for j, word in enumerate(row):
            expected += (between if j else first) + WORDS[word]
            expected += middle + next(left) + after if scored else b""
        expected += end
    line = Line(data(start), texts(counted), twice, *(data(text) for text in (first, middle, after, between, end)))
    queries = np.arange(len(rows), dtype=np.int64)
    out = np.full(len(expected) + 5, 1, dtype=np.uint8)
    given_scores = texts(scores) if scored else texts([])
    size = format_lists(line, texts(seeds), texts(WORDS), given_scores, queries, padded(rows), out)
    assert out[:size].tobytes() == expected
    assert (out[size:] == 1).all()


@given(lists, st.booleans(), st.booleans())
def test_pairs_are_formatted_one_a_line(rows: list[list[int]], seed_ended: bool, word_ended: bool) -> None:
    seeds = [b"seed%d" % q for q in range(len(rows))]
    seed_ends, word_ends = [b"|%d" % q for q in range(len(rows))], [b"~%d" % w for w in range(len(WORDS))]
    scores = [b"0.%d" % i for i in range(sum(map(len, rows)))]
    left = iter(scores)
    expected = b""
    for q, row in enumerate(rows):
        for j, word in enumerate(row):
            expected += b"\t".join((seeds[q], b"%d" % (j + 1), WORDS[word], next(left)))
            expected += (seed_ends[q] if seed_ended else b"") + (word_ends[word] if word_ended else b"") + b"\n"
    out = np.zeros(len(expected) + 1, dtype=np.uint8)
    size = format_pairs(
        ord("\t"),
        texts([b"1", b"2", b"3"]),
        texts(seeds),
        texts(WORDS),
        texts(scores),
        texts(seed_ends if seed_ended else []),
        texts(word_ends if word_ended else []),
        np.arange(len(rows), dtype=np.int64),
        padded(rows),
        out,
    )
    assert out[:size].tobytes() == expected


@pytest.mark.parametrize("queries", [[1, 0], [1, 1]])
def test_lines_have_the_order_of_the_queries(queries: list[int]) -> None:
    line = Line(data(b""), texts([b""] * (K + 1)), False, *(data(text) for text in (b" ", b"", b"", b" ", b"\n")))
    out = np.zeros(99, dtype=np.uint8)
    seeds = [b"p", b"q"]
    size = format_lists(
        line, texts(seeds), texts(WORDS), texts([]), np.array(queries, dtype=np.int64), padded([[1], [2, 1]]), out
    )
    assert out[:size].tobytes() == b"%s a\n%s bc a\n" % (seeds[queries[0]], seeds[queries[1]])
