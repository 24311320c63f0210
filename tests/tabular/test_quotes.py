from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.tabular import quotes
from embedrec.tabular.quotes import Quotes


def slow_quotes(text: bytes) -> tuple[bytes, int]:
    """Slow reference: the same, one byte after the other."""
    kept, broken, at, value_starts = bytearray(), 0, 0, True
    while at < len(text):
        byte = text[at : at + 1]
        if byte != b'"' or not value_starts:
            kept += byte
            value_starts = byte in (b",", b"\r", b"\n")
            at += 1
            continue
        value_starts = False
        end = at + 1
        while end < len(text) and not (text[end : end + 1] == b'"' and text[end + 1 : end + 2] != b'"'):
            end += 2 if text[end : end + 1] == b'"' else 1
        if end < len(text) and text[end + 1 :].lstrip(b" \t")[:1] in (b"", b",", b"\r", b"\n"):
            kept += text[at : end + 1]
            at = end + 1
            continue
        kept += b"<%d>" % broken
        broken += 1
        while at < len(text) and text[at : at + 1] not in (b"\r", b"\n"):
            at += 1
    return bytes(kept), broken


_VALUES = st.sampled_from([b'"a"', b'"a""b"', b"x", b'""', b'"x\ny"', b'"x" ', b'5"', b'"', b'"Heroes" x', b'"""y"""'])
_LINES = st.lists(st.lists(_VALUES, min_size=1, max_size=4).map(b",".join), max_size=8).map(b"\n".join)
_BYTES = st.lists(st.sampled_from(b'",a\n\r '), max_size=40).map(bytes)


@given(
    st.one_of(_LINES, _BYTES),
    st.lists(st.integers(1, 30), min_size=1, max_size=6),
    st.sampled_from([2, 4, 4096]),
    st.sampled_from([1, 2, 512]),
    st.sampled_from([0, 1, 4, 50_000]),
)
def test_quotes_equal_a_slow_reference(
    text: bytes, sizes: list[int], window: int, one_by_one: int, python_values: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quotes, "WINDOW", window)
        patch.setattr(quotes, "ONE_BY_ONE", one_by_one)
        patch.setattr(quotes, "PYTHON_VALUES", python_values)  # the compiled kernel does what is left
        quotes_in = Quotes(b",", lambda n: b"<%d>" % n, longest=1 << 20)
        result, position, block = b"", 0, 0
        while position < len(text):
            size = sizes[block % len(sizes)]
            result += quotes_in.feed(text[position : position + size], last=False)
            position, block = position + size, block + 1
        result += quotes_in.feed(b"", last=True)
    assert (result, len(quotes_in.broken)) == slow_quotes(text)


def test_text_without_quotes_is_not_copied() -> None:
    block = b"a,b\n" * 100
    assert Quotes(b",", lambda n: b"", longest=10).feed(block, last=False) is block


def test_a_value_beyond_the_maximum_length_is_a_broken_quote() -> None:
    quotes_in = Quotes(b",", lambda n: b"<%d>" % n, longest=30)
    assert quotes_in.feed(b'1,"open', last=False) == b"1,"
    assert quotes_in.held == b'"open'
    assert quotes_in.feed(b" to the end\n2,b\n3,c\n4,d\n5,e\n", last=False) == b"<0>\n2,b\n3,c\n4,d\n5,e\n"
    assert quotes_in.feed(b'6,"f"\n', last=True) == b'6,"f"\n'
    assert quotes_in.broken == [b"open to the end"]
