from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.tabular import quotes
from embedrec.tabular.quotes import Quotes


def slow_twin(text: bytes) -> tuple[bytes, int]:
    """The same, one byte after the other."""
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
def test_against_a_slow_twin(text: bytes, sizes: list[int], window: int, one_by_one: int, few: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quotes, "WINDOW", window)
        patch.setattr(quotes, "ONE_BY_ONE", one_by_one)
        patch.setattr(quotes, "PYTHON_VALUES", few)  # the compiled kernel does what is left
        look = Quotes(b",", lambda n: b"<%d>" % n, longest=1 << 20)
        result, at, block = b"", 0, 0
        while at < len(text):
            size = sizes[block % len(sizes)]
            result += look.feed(text[at : at + size], last=False)
            at, block = at + size, block + 1
        result += look.feed(b"", last=True)
    assert (result, len(look.broken)) == slow_twin(text)


def test_text_without_quotes_is_not_copied() -> None:
    block = b"a,b\n" * 100
    assert Quotes(b",", lambda n: b"", longest=10).feed(block, last=False) is block


def test_a_value_beyond_the_maximum_length() -> None:
    look = Quotes(b",", lambda n: b"<%d>" % n, longest=30)
    assert look.feed(b'1,"open', last=False) == b"1,"
    assert look.held == b'"open'
    assert look.feed(b" to the end\n2,b\n3,c\n4,d\n5,e\n", last=False) == b"<0>\n2,b\n3,c\n4,d\n5,e\n"
    assert look.feed(b'6,"f"\n', last=True) == b'6,"f"\n'
    assert look.broken == [b"open to the end"]
