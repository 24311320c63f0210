"""Detection of broken quotes in a stream of delimited text.

A value is quoted if it starts with a quote; "" inside is one quote. The closing quote must precede a delimiter, a line
break or the end of the text; only blanks may lie between. Any other quote in an unquoted value is a normal character.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

QUOTE = ord('"')
FIELD = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"')
_LINE_END = re.compile(rb"[\r\n]")
WINDOW = 1 << 12  # initial number of quotes to check together
ONE_BY_ONE = 512  # quoted values to check one by one after an unusual one
PYTHON_VALUES = 50_000  # values to check one by one, 0.1 s; more are worth starting the compiled kernel, 0.6 s
_EXCERPT = 40  # bytes


class Quotes:
    """Checks a text block by block, and replaces each broken quote and the rest of its line.

    delimiter  one byte
    instead    the number of the broken quote, from 0 → its replacement
    longest    maximum bytes of a quoted value; a longer one counts as not closed
    many       whether there may be enough quotes for the compiled kernel to be worth its start

    `broken` holds the rest of the line after each broken quote.
    """

    def __init__(self, delimiter: bytes, instead: Callable[[int], bytes], longest: int, *, many: bool = False) -> None:
        self.delimiter = delimiter
        self.instead = instead
        self.longest = longest
        self.broken: list[bytes] = []
        self.held = b""  # text from a quote that the next block may close
        self.left = 0 if many else PYTHON_VALUES
        self._before = b"\n"  # the byte before the next block
        self._to_line_end = False  # whether to drop the rest of the line
        self._ends = np.zeros(256, dtype=bool)  # whether a byte ends a value
        self._ends[list(delimiter + b"\r\n")] = True
        blanks = b" \t".replace(delimiter, b"")
        self._closed = re.compile(rb"[%s]*+(?:[%s\r\n]|(\Z))" % (blanks, re.escape(delimiter)))

    def feed(self, block: bytes, *, last: bool) -> bytes:
        """The text that is decided so far; all of it if the block is the `last`."""
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
        """The text from `start`, without broken and held parts."""
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
        """End of the value that the quote at `place` opens, −1 if it is not closed; and whether it is broken."""
        self.left -= 1
        value = FIELD.match(text, place)
        closed = value and self._closed.match(text, value.end())
        if value and closed and (last or closed[1] is None):
            return value.end(), False
        return -1, last or (value is not None and closed is None)

    def compiled(self, text: bytes, at: int, last: bool) -> tuple[int, bool]:
        """Position of the first unclosed quote from `at`, len(text) for none; and whether it is broken."""
        from embedrec.kernels.quotes import first_unclosed_quote

        starts = bool(self._ends[text[at - 1] if at else self._before[0]])
        place, broken = first_unclosed_quote(np.frombuffer(text, np.uint8), at, starts, self.delimiter[0], last)
        return int(place), bool(broken)


class _Block:
    """The quotes of a text; usual values are checked many at a time, others one by one."""

    def __init__(self, text: bytes, before: bytes, ends: np.ndarray) -> None:
        data = np.frombuffer(text, np.uint8)
        self.text = text
        self.at = at = np.flatnonzero(data == QUOTE)  # (Q,)
        previous = data[at - 1]
        if at[0] == 0:
            previous[0] = before[0]
        self.opens = ends[previous]  # (Q,) whether it is at the start of a value
        self.closes = ends[data[np.minimum(at + 1, len(data) - 1)]]  # (Q,) whether it is at the end of one
        self.openers = at[self.opens]

    def not_closed(self, start: int, last: bool, quotes: Quotes) -> tuple[int, bool]:
        """Position of the first unclosed quote from `start`, len(text) for none; and whether it is broken.

        A value or line must end at `start`.
        """
        at, text = self.at, self.text
        done, window = int(np.searchsorted(at, start)), WINDOW
        while done < len(at):
            near = slice(done, done + window)
            count, usual = _count_well_formed(at[near], self.opens[near], self.closes[near])
            done += count
            if count and usual:
                window *= 4
                continue
            if quotes.left <= 0:
                return quotes.compiled(text, int(at[done]), last)
            window, end = WINDOW, 0
            following = np.searchsorted(self.openers, at[done]) if done < len(at) else len(self.openers)
            for place in self.openers[following : following + ONE_BY_ONE].tolist():
                if place >= end:
                    end, broken = quotes.alone(text, place, last)
                    if end < 0:
                        return place, broken
            done = int(np.searchsorted(at, end)) if end else len(at)
        return len(text), False


def _count_well_formed(at: np.ndarray, opens: np.ndarray, closes: np.ndarray) -> tuple[int, bool]:
    """Number of leading quotes that belong to closed values, and whether only the start of another value follows.

    at      (w,) positions of quotes; the first is in no value
    opens   (w,) whether each is at the start of a value
    closes  (w,) whether each is at the end of one
    """
    pairs = len(at) // 2
    together = at[1:] - at[:-1] == 1  # (w-1,) whether it is adjacent to the next
    first, second = opens[0 : 2 * pairs : 2].copy(), closes[1 : 2 * pairs : 2].copy()  # (pairs,)
    doubled = np.zeros(pairs, dtype=bool)  # whether the second and the first of the next pair are one "" in a value
    doubled[: len(together[1::2])] = together[1::2][:pairs]
    first[1:] |= doubled[:-1]
    good = first & (second | doubled)
    count = pairs if good.all() else int(np.argmin(good))
    whole = np.flatnonzero(~doubled[:count])
    return 2 * (int(whole[-1]) + 1) if len(whole) else 0, count == pairs


def _line(text: bytes, start: int) -> bytes:
    """The rest of a line, cut if it is long."""
    end = _LINE_END.search(text, start, start + _EXCERPT)
    return text[start : end.start() if end else start + _EXCERPT]
