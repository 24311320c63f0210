"""Delimited text cleaned for Arrow as a stream: without header, broken quotes and invalid UTF-8."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from embedrec.errors import DataError
from embedrec.tabular.formats import CountingStream
from embedrec.tabular.quotes import FIELD, Quotes

BOM = b"\xef\xbb\xbf"
NOT_UTF8 = "\ufdd1"  # replaces invalid UTF-8; a noncharacter, so that no text contains it
_BROKEN = "\ufdd0"  # precedes the number of a broken quote
_BLANK_LINES = re.compile(rb"(?:[ \t]*+[\r\n])*+")
_LINE_END_OR_QUOTE = re.compile(rb'\r\n?|\n|"')
_BEFORE_A_VALUE = b",;\t|\r\n"
_EXCERPT = 40


class CleanText:
    """A stream of delimited text for Arrow's CSV reader; row numbers do not change.

    stream     the raw bytes
    delimiter  one byte
    quoted     whether values may be quoted
    columns    number of columns; a row with a broken quote gets more values, so that Arrow reports it
    header     whether the first row that is not blank is dropped
    utf8       whether the text must be UTF-8; invalid bytes become `NOT_UTF8`
    longest    maximum bytes of a quoted value
    many       whether many quotes are expected
    """

    closed = False

    def __init__(
        self,
        stream: CountingStream,
        delimiter: bytes,
        *,
        quoted: bool,
        columns: int,
        header: bool,
        utf8: bool,
        longest: int,
        many: bool,
    ) -> None:
        self.stream = stream
        self.damaged = False  # whether the text contains invalid UTF-8
        self.quotes = Quotes(delimiter, lambda n: f"{_BROKEN}{n}".encode() + delimiter * columns, longest, many=many)
        self._steps: list[Callable[[bytes, bool], bytes]] = [self._beginning(quoted, header)]
        if utf8:
            self._steps.append(self._decodable)
        if quoted:
            self._steps.append(lambda block, last: self.quotes.feed(block, last=last))
        self._partial = b""  # of a character
        self._ready = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; none at the end."""
        while not self._ended and 2 * len(self._ready) < size:  # Arrow cannot parse a row that spans three blocks
            # held bytes come first; the block must not grow by them
            block = self.stream.read(max(size - len(self._ready) - len(self.quotes.held), size // 2, 1))
            self._ended = not block
            for step in self._steps:
                block = step(block, self._ended)
            self._ready = self._ready + block if self._ready else block
        if size < len(self._ready):
            block, self._ready = self._ready[:size], self._ready[size:]
        else:
            block, self._ready = self._ready, b""
        return block

    def broken_quote(self, row: str, encoding: str) -> str | None:
        """The text after the broken quote of a row that Arrow reports; None if it has none."""
        mark = re.search(_BROKEN.encode().decode(encoding) + "([0-9]+)", row)
        if mark is None or int(mark[1]) >= len(self.quotes.broken):
            return None
        return self.quotes.broken[int(mark[1])].decode(encoding, "replace")

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        """No effect: the owner of the stream closes it."""

    def _beginning(self, quoted: bool, header: bool) -> Callable[[bytes, bool], bytes]:
        """A step that drops a byte order mark, blank lines and the header."""
        pending: bytes | None = b""

        def step(block: bytes, last: bool) -> bytes:
            nonlocal pending
            if pending is None:
                return block
            text = pending + block
            bounds = first_row(text, quoted, last=last)
            if bounds is None:
                pending = text
                return b""
            pending = None
            return text[bounds[2] if header else bounds[0] :]

        return step

    def _decodable(self, block: bytes, last: bool) -> bytes:
        if block.isascii() and not self._partial:
            return block
        text = self._partial + block
        cut = len(text) if last else len(text) - _partial_character(text)
        text, self._partial = text[:cut], text[cut:]
        if _is_utf8(text):
            return text
        self.damaged = True
        return text.decode("utf-8", "embedrec-replace").encode()


def first_row(text: bytes, quoted: bool, *, last: bool) -> tuple[int, int, int] | None:
    """Start and end of the first row that is not blank, and the start of the next one; None if more text is needed.

    Offsets include a byte order mark. A broken quote ends with its line.
    """
    start = len(BOM) if text.startswith(BOM) else 0
    blank = _BLANK_LINES.match(text, start)
    start = place = blank.end() if blank else start
    while mark := _LINE_END_OR_QUOTE.search(text, place):
        if mark[0] != b'"':
            # the next byte may be the LF of this CR
            return None if mark[0] == b"\r" and mark.end() == len(text) and not last else (start, *mark.span())
        place = mark.end()
        if quoted and (mark.start() == start or text[mark.start() - 1] in _BEFORE_A_VALUE):
            value = FIELD.match(text, mark.start())
            if value is None and not last:
                return None
            place = value.end() if value else place
    return (start, len(text), len(text)) if last else None


def split_row(row: str, delimiter: str, *, quoted: bool) -> list[str]:
    """The values of a row, stripped. Raises DataError for a broken quote."""
    if not quoted or '"' not in row:
        return [value.strip() for value in row.split(delimiter)]
    value = re.compile(rf'"((?:[^"]|"")*+)"[ \t]*(?={re.escape(delimiter)}|\Z)')
    values, place = [], 0
    while True:
        if row.startswith('"', place):
            closed = value.match(row, place)
            if closed is None:
                raise DataError(
                    f"a quote in the header is not closed at the end of a name, the one before "
                    f"{row[place + 1 :][:_EXCERPT]!r}"
                )
            values.append(closed[1].replace('""', '"').strip())
            place = closed.end()
        else:
            end = row.find(delimiter, place)
            end = len(row) if end < 0 else end
            values.append(row[place:end].strip())
            place = end
        if place >= len(row):
            return values
        place += len(delimiter)


def _is_utf8(text: bytes) -> bool:
    if len(text) >= 1 << 31:  # beyond what one Arrow text can hold
        half = len(text) // 2
        half -= _partial_character(text[:half])
        return _is_utf8(text[:half]) and _is_utf8(text[half:])
    offsets = pa.py_buffer(np.array([0, len(text)], dtype=np.int32))
    try:
        pa.StringArray.from_buffers(1, offsets, pa.py_buffer(text)).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _partial_character(text: bytes) -> int:
    """Number of bytes at the end that may start a character."""
    for count in range(1, min(3, len(text)) + 1):
        byte = text[-count]
        if byte >= 0xC0:
            return count if byte >= (0x00, 0xC0, 0xE0, 0xF0)[count] else 0
        if byte < 0x80:
            return 0
    return 0


def _replace_undecodable(error: UnicodeError) -> tuple[str, int]:
    end: Any = getattr(error, "end", 0)
    return NOT_UTF8, end


codecs.register_error("embedrec-replace", _replace_undecodable)
