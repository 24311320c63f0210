"""Unclosed quotes in delimited text."""

from __future__ import annotations

import numba

_QUOTE, _TAB, _LF, _CR, _SPACE = 34, 9, 10, 13, 32


@numba.njit(nogil=True, cache=True, inline="always")
def _ends(byte, delimiter):  # type: ignore[no-untyped-def]
    return byte in (delimiter, _LF, _CR)


@numba.njit(nogil=True, cache=True)
def first_unclosed_quote(text, start, value_starts, delimiter, last):  # type: ignore[no-untyped-def]
    """Find the first quote from `start` on that opens a value and is not closed at its end.

    text          (b,) uint8
    value_starts  whether a value starts at `start`
    delimiter     byte between values
    last          whether the text is the end of the file

    Returns the quote's place, len(text) for none, and whether it is an error whatever follows the text.
    """
    at = start
    while True:
        while at < len(text) and text[at] != _QUOTE:
            at += 1
        if at == len(text):
            return len(text), False
        if at > start:
            value_starts = _ends(text[at - 1], delimiter)
        if not value_starts:
            at += 1
            continue
        opened = at
        at += 1
        while at < len(text):
            if text[at] == _QUOTE:
                if at + 1 == len(text) or text[at + 1] != _QUOTE:
                    break
                at += 1
            at += 1
        if at >= len(text):
            return opened, last
        at += 1
        end = at
        while end < len(text) and (text[end] == _SPACE or text[end] == _TAB) and text[end] != delimiter:
            end += 1
        if end == len(text):
            if not last:
                return opened, False
        elif not _ends(text[end], delimiter):
            return opened, True
