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
_FEW = 50_000  # values that are looked at alone, 0.1 s; with more, the compiled kernel is worth its start of 0.6 s
_EXCERPT = 40  # bytes


class Quotes:
    """Looks at a text block by block, and replaces a broken quote and the rest of its line.

    delimiter  of the values, one byte
    instead    the number of the broken quote, from 0 → what replaces it
    longest    bytes of a quoted value; one that is longer counts as not closed
    many       whether there may be so many quotes that the compiled kernel is worth its start

    `broken` holds, of each broken quote, what follows it in the line.
    """

    def __init__(self, delimiter: bytes, instead: Callable[[int], bytes], longest: int, *, many: bool = False) -> None:
        self.delimiter = delimiter
        self.instead = instead
        self.longest = longest
        self.broken: list[bytes] = []
        self.held = b""  # from a quote on that the next block may close
        self.left = 0 if many else _FEW
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
        quoted = text.find(b'"', start) >= 0
        judged = self._judged(text, start, last) if quoted else text[start:] if start else text
        self._before = judged[-1:] or self._before
        return judged

    def _judged(self, text: bytes, start: int, last: bool) -> bytes:
        """The text from `start`, without what is broken or held back."""
        block = _Block(text, self._before, self._ends) if self.left > 0 else None
        pieces: list[bytes] = []
        at = start
        while True:
            place, broken = block.not_closed(at, last, self) if block else self.compiled(text, at, last)
            if place == len(text):
                return b"".join([*pieces, text[start:]]) if start else text
            pieces.append(text[start:place])
            if not broken and len(text) - place <= self.longest:
                self.held = text[place:]
                return b"".join(pieces)
            self.broken.append(_line(text, place + 1))
            pieces.append(self.instead(len(self.broken) - 1))
            end = _LINE_END.search(text, place)
            if end is None:
                self._to_line_end = not last
                return b"".join(pieces)
            start = at = end.start()

    def alone(self, text: bytes, place: int, last: bool) -> tuple[int, bool]:
        """Where the value that a quote at `place` opens ends, −1 where it is not closed; and whether it is broken."""
        self.left -= 1
        value = FIELD.match(text, place)
        closed = value and self._closed.match(text, value.end())
        if value and closed and (last or closed[1] is None):
            return value.end(), False
        return -1, last or (value is not None and closed is None)

    def compiled(self, text: bytes, at: int, last: bool) -> tuple[int, bool]:
        """The place of the first quote from `at` on that is not closed, len(text) for none; whether it is broken."""
        from embedrec.kernels.quotes import first_not_closed

        starts = bool(self._ends[text[at - 1] if at else self._before[0]])
        place, broken = first_not_closed(np.frombuffer(text, np.uint8), at, starts, self.delimiter[0], last)
        return int(place), bool(broken)


class _Block:
    """The quotes of a text, looked at many together as long as values are as usual, else one after the other."""

    def __init__(self, text: bytes, before: bytes, ends: np.ndarray) -> None:
        data = np.frombuffer(text, np.uint8)
        self.text = text
        self.at = at = np.flatnonzero(data == QUOTE)  # (Q,)
        previous = data[at - 1]
        if at[0] == 0:
            previous[0] = before[0]
        self.opens = ends[previous]  # (Q,) whether it stands at the start of a value
        self.closes = ends[data[np.minimum(at + 1, len(data) - 1)]]  # (Q,) whether it stands at the end of one
        self.openers = at[self.opens]

    def not_closed(self, start: int, last: bool, quotes: Quotes) -> tuple[int, bool]:
        """The place of the first quote from `start` on that is not closed, len(text) for none; whether it is broken.

        A value or line must end at `start`.
        """
        at, text = self.at, self.text
        done, window = int(np.searchsorted(at, start)), _WINDOW
        while done < len(at):
            near = slice(done, done + window)
            count, usual = _count_well_formed(at[near], self.opens[near], self.closes[near])
            done += count
            if count and usual:
                window *= 4
                continue
            if quotes.left <= 0:
                return quotes.compiled(text, int(at[done]), last)
            window, end = _WINDOW, 0
            following = np.searchsorted(self.openers, at[done]) if done < len(at) else len(self.openers)
            for place in self.openers[following : following + _ONE_BY_ONE].tolist():
                if place >= end:
                    end, broken = quotes.alone(text, place, last)
                    if end < 0:
                        return place, broken
            done = int(np.searchsorted(at, end)) if end else len(at)
        return len(text), False


def _count_well_formed(at: np.ndarray, opens: np.ndarray, closes: np.ndarray) -> tuple[int, bool]:
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
    """The rest of a line, or its beginning where it is long."""
    end = _LINE_END.search(text, start, start + _EXCERPT)
    return text[start : end.start() if end else start + _EXCERPT]
