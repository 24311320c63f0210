"""Quoted values of delimited text that are not closed where they must be, found while the text streams by.

A value is quoted where a quote stands at its start; "" inside is one quote. The closing quote must stand before a
delimiter, a line break or the end of the text, with no more than blanks between. A quote anywhere else in a value that
is not quoted is a character of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

QUOTE = ord('"')
FIELD = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"')
_LINE_END = re.compile(rb"[\r\n]")
_WINDOW = 1 << 12  # quotes that are looked at together at first
_ONE_BY_ONE = 512  # quoted values that are looked at alone after one that is unusual
_EXCERPT = 40  # bytes


class Quotes:
    """Looks at a text block by block, and replaces a broken quote and the rest of its line.

    delimiter  of the values, one byte
    instead    the number of the broken quote, from 0 → what replaces it
    longest    bytes of a quoted value; one that is longer counts as not closed

    `broken` holds, of each broken quote, what follows it in the line.
    """

    def __init__(self, delimiter: bytes, instead: Callable[[int], bytes], longest: int) -> None:
        self.instead = instead
        self.longest = longest
        self.broken: list[bytes] = []
        self.held = b""  # from a quote on that the next block may close
        self._before = b"\n"  # the byte before the next block
        self._to_line_end = False  # whether the rest of a line is still to be left out
        self._ends = np.zeros(256, dtype=bool)  # whether a byte ends a value
        self._ends[list(delimiter + b"\r\n")] = True
        blanks = b" \t".replace(delimiter, b"")
        self._closed = re.compile(rb"[%s]*+(?:[%s\r\n]|(\Z))" % (blanks, re.escape(delimiter)))

    def feed(self, block: bytes, *, last: bool) -> bytes:
        """The text as far as it can be judged; all of it where the block is the `last`."""
        text = self.held + block if self.held else block
        self.held = b""
        start = 0
        if self._to_line_end:
            end = _LINE_END.search(text)
            if end is None:
                return b""
            self._to_line_end, start = False, end.start()
        if text.find(b'"', start) < 0:
            judged = text[start:] if start else text
        else:
            judged = b"".join(self._judged(text, start, last))
        self._before = judged[-1:] or self._before
        return judged

    def _judged(self, text: bytes, start: int, last: bool) -> list[bytes]:
        """The text from `start` in pieces, without those that are broken."""
        data = np.frombuffer(text, np.uint8)
        at = np.flatnonzero(data[start:] == QUOTE) + start  # (Q,)
        before = data[at - 1]
        if at[0] == 0:
            before[0] = self._before[0]
        opens = self._ends[before]  # (Q,) whether it stands at the start of a value
        closes = self._ends[data[np.minimum(at + 1, len(data) - 1)]]  # (Q,) whether it stands at the end of one
        openers = at[opens]
        pieces: list[bytes] = []
        done, window = 0, _WINDOW  # quotes
        while done < len(at):
            near = slice(done, done + window)
            count, usual = _usual(at[near], opens[near], closes[near])
            done += count
            if count and usual:
                window *= 4
                continue
            window = _WINDOW
            following = np.searchsorted(openers, at[done] if done < len(at) else len(data))
            end = 0
            for place in openers[following : following + _ONE_BY_ONE].tolist():
                if place < end:
                    continue
                end = self._end(text, place, last)
                if end > 0:
                    continue
                pieces.append(text[start:place])
                if end == 0:
                    self.held = text[place:]
                    return pieces
                self.broken.append(_line(text, place + 1)[:_EXCERPT])
                pieces.append(self.instead(len(self.broken) - 1))
                line_end = _LINE_END.search(text, place)
                if line_end is None:
                    self._to_line_end = not last
                    return pieces
                start = end = line_end.start()
            done = int(np.searchsorted(at, end)) if end else len(at)
        pieces.append(text[start:])
        return pieces

    def _end(self, text: bytes, place: int, last: bool) -> int:
        """Where the quoted value at a place ends; 0 where more text is needed to know, −1 where it is broken."""
        value = FIELD.match(text, place)
        closed = value and self._closed.match(text, value.end())
        if value and closed and (last or closed[1] is None):
            return value.end()
        open_ = value is None or closed is not None
        return 0 if open_ and not last and len(text) - place <= self.longest else -1


def _usual(at: np.ndarray, opens: np.ndarray, closes: np.ndarray) -> tuple[int, bool]:
    """How many of the first quotes belong to quoted values that are all closed, and whether nothing follows them
    but the start of another one.

    at      (w,) places of quotes, of which the first is in no value
    opens   (w,) whether each stands at the start of a value
    closes  (w,) whether each stands at the end of one
    """
    pairs = len(at) // 2
    together = at[1:] - at[:-1] == 1  # (w-1,) whether it and the next are neighbours
    first, second = opens[0 : 2 * pairs : 2].copy(), closes[1 : 2 * pairs : 2].copy()  # (pairs,)
    doubled = np.zeros(pairs, dtype=bool)  # whether the second and the first of the next pair are one "" in a value
    doubled[: len(together[1::2])] = together[1::2][:pairs]
    first[1:] |= doubled[:-1]
    good = first & (second | doubled)
    count = pairs if good.all() else int(np.argmin(good))
    whole = np.flatnonzero(~doubled[:count])
    return 2 * (int(whole[-1]) + 1) if len(whole) else 0, count == pairs


def _line(text: bytes, start: int) -> bytes:
    """The rest of a line."""
    end = _LINE_END.search(text, start, start + 2 * _EXCERPT)
    return text[start : end.start() if end else start + 2 * _EXCERPT]
