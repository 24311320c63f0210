"""Delimited text cleaned for Arrow: header, blank lines, broken quotes and invalid UTF-8."""

from __future__ import annotations

import io
from typing import Any

import pytest

from embedrec.errors import DataError
from embedrec.tabular.clean_text import BOM, NOT_UTF8, CleanText, first_row, split_row
from embedrec.tabular.formats import CountingStream

SIZES = (1, 2, 3, 7, 1000)


def clean(text: bytes, size: int, **options: Any) -> tuple[bytes, CleanText]:
    """All cleaned bytes, read in blocks of at most `size` bytes."""
    settings = {"quoted": True, "columns": 2, "header": False, "utf8": True, "longest": 100, "many": False, **options}
    stream = CleanText(CountingStream(io.BytesIO(text)), b",", **settings)
    blocks = []
    while block := stream.read(size):
        assert len(block) <= size
        blocks.append(block)
    return b"".join(blocks), stream


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("text", "with_header", "without_header"),
    [
        (b"a,b\n1,2\n", b"a,b\n1,2\n", b"1,2\n"),
        (BOM + b"a,b\n1,2\n", b"a,b\n1,2\n", b"1,2\n"),
        (BOM + b"\r\n \t\n\na,b\r\n1,2", b"a,b\r\n1,2", b"1,2"),
        (b'"a\nx",b\n1,2\n', b'"a\nx",b\n1,2\n', b"1,2\n"),
        (b"a,b\r1,2\r", b"a,b\r1,2\r", b"1,2\r"),
        (b"a,b", b"a,b", b""),
        (b"", b"", b""),
        (BOM, b"", b""),
        ("ä,b\nö,€\n".encode(), "ä,b\nö,€\n".encode(), "ö,€\n".encode()),
    ],
)
def test_a_byte_order_mark_and_blank_lines_are_removed(
    text: bytes, with_header: bytes, without_header: bytes, size: int
) -> None:
    assert clean(text, size)[0] == with_header
    assert clean(text, size, header=True)[0] == without_header


@pytest.mark.parametrize("size", SIZES)
def test_invalid_utf8_is_marked(size: int) -> None:
    text, stream = clean(b"\xe4,b\n\xc3\xa4,c\xe2\x82\n", size)
    assert text == f"{NOT_UTF8},b\nä,c{NOT_UTF8}\n".encode() and stream.damaged
    text, stream = clean("ä,€\n😀,b\n".encode(), size)
    assert text == "ä,€\n😀,b\n".encode() and not stream.damaged
    assert clean(b"\xe4,b\n", size, utf8=False)[0] == b"\xe4,b\n"


def test_a_broken_quote_makes_a_row_of_more_values() -> None:
    text, stream = clean(b'a,b\n"x,y\n1,2\n', 1000, longest=100)
    rows = text.decode().split("\n")
    assert [rows[0], rows[2]] == ["a,b", "1,2"] and rows[1].count(",") > 1
    assert stream.broken_quote(rows[1], "utf-8") is not None
    assert stream.broken_quote("1,2", "utf-8") is None
    plain, _ = clean(b'a,b\n"x,y\n1,2\n', 1000, quoted=False)
    assert plain == b'a,b\n"x,y\n1,2\n'


@pytest.mark.parametrize(
    ("text", "last", "bounds"),
    [
        (b"ab\ncd", False, (0, 2, 3)),
        (b"ab\r\ncd", False, (0, 2, 4)),
        (b"ab\r", False, None),  # the next byte may be a line feed
        (b"ab\r", True, (0, 2, 3)),
        (b"ab", False, None),
        (b"ab", True, (0, 2, 2)),
        (b"\n \nab\n", False, (3, 5, 6)),
        (BOM + b"ab\n", False, (3, 5, 6)),
        (b'"a\nb",c\nd', False, (0, 7, 8)),
        (b'"a\nb', False, None),
        (b'"a\nb', True, (0, 2, 3)),  # a broken quote ends with its line
        (b'a"b\nc\n', False, (0, 3, 4)),
    ],
)
def test_the_first_row_is_found(text: bytes, last: bool, bounds: tuple[int, int, int] | None) -> None:
    assert first_row(text, True, last=last) == bounds


def test_the_first_row_without_quotes_is_a_line() -> None:
    assert first_row(b'"a\nb",c\n', False, last=False) == (0, 2, 3)


@pytest.mark.parametrize(
    ("row", "values"),
    [
        ("a,b", ["a", "b"]),
        (" a , b ", ["a", "b"]),
        ("", [""]),
        ("a,,b", ["a", "", "b"]),
        ('"a,b",c', ["a,b", "c"]),
        ('" a ""x"" " ,c', ['a "x"', "c"]),
        ('a"b,c', ['a"b', "c"]),
    ],
)
def test_a_row_is_split_into_values(row: str, values: list[str]) -> None:
    assert split_row(row, ",", quoted=True) == values


def test_quotes_are_characters_in_rows_without_quotes() -> None:
    assert split_row('"a,b"', ",", quoted=False) == ['"a', 'b"']
    assert split_row("a||b", "||", quoted=False) == ["a", "b"]


@pytest.mark.parametrize("row", ['"a', '"a"b,c', 'x,"a"b'])
def test_a_broken_quote_in_the_header_is_refused(row: str) -> None:
    with pytest.raises(
        DataError, match=r"^a quote in the header is not closed at the end of a name, the one before 'a"
    ):
        split_row(row, ",", quoted=True)
