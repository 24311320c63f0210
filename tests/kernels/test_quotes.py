"""The first quoted value that is not closed, against a regular expression."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.quotes import first_unclosed_quote

CLOSED = re.compile(rb'"(?:[^"]|"")*"(?!")')


def slow(text: bytes, start: int, value_starts: bool, last: bool) -> tuple[int, bool]:
    at = start
    while at < len(text):
        opens = value_starts if at == start else text[at - 1 : at] in (b",", b"\n", b"\r")
        if text[at : at + 1] != b'"' or not opens:
            at += 1
            continue
        closed = CLOSED.match(text, at)
        if not closed:
            return at, last
        rest = text[closed.end() :].lstrip(b" \t")
        if not rest:
            if not last:
                return at, False
            return len(text), False
        if rest[:1] not in (b",", b"\n", b"\r"):
            return at, True
        at = closed.end()
    return len(text), False


def first_unclosed(
    text: bytes, start: int = 0, value_starts: bool = True, delimiter: bytes = b",", last: bool = True
) -> tuple:
    array = np.frombuffer(text, dtype=np.uint8)
    at, broken = first_unclosed_quote(array, start, value_starts, ord(delimiter), last)
    return int(at), bool(broken)


@given(st.lists(st.sampled_from(b'"",\na \r'), max_size=25).map(bytes), st.booleans(), st.booleans(), st.data())
def test_unclosed_quotes_equal_those_of_a_regular_expression(
    text: bytes, value_starts: bool, last: bool, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(text)))
    assert first_unclosed(text, start, value_starts, last=last) == slow(text, start, value_starts, last)


@pytest.mark.parametrize(
    ("text", "delimiter", "last", "expected"),
    [
        (b"", b",", True, (0, False)),
        (b"a,b\n", b",", True, (4, False)),
        (b'"a","b""c"\n', b",", True, (11, False)),
        (b'5",6"\n', b",", True, (6, False)),  # no quote opens a value
        (b'"a" x,b\n', b",", True, (0, True)),
        (b'"a" \t,b\n', b",", True, (8, False)),
        (b'x\t"a"\t"b" y', b"\t", True, (6, True)),
        (b'x,"open\n', b",", True, (2, True)),
        (b'x,"open\n', b",", False, (2, False)),  # more text may close it
        (b'x,"a"', b",", False, (2, False)),  # another quote may follow
        (b'x,"a"', b",", True, (5, False)),
    ],
)
def test_unclosed_quotes_by_hand(text: bytes, delimiter: bytes, last: bool, expected: tuple[int, bool]) -> None:
    assert first_unclosed(text, delimiter=delimiter, last=last) == expected
