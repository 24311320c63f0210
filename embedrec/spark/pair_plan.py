"""Which part counts the pairs of which items."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Plan(NamedTuple):
    """Ranges of items: first, last, bases, salts, all (ranges,) int64; and part_of (n,) int32, see `Routes`."""

    first: np.ndarray
    last: np.ndarray
    bases: np.ndarray
    salts: np.ndarray
    part_of: np.ndarray

    @property
    def parts(self) -> int:
        return int(self.salts.sum())

    def range_of(self, part: int) -> tuple[int, int, bool]:
        """First and last item of a part, and whether it is one of several of its item."""
        number = int(np.searchsorted(self.bases, part, side="right")) - 1
        return int(self.first[number]), int(self.last[number]), bool(self.salts[number] > 1)


def plan_parts(loads: np.ndarray, size: int, least: int) -> Plan:
    """Ranges of consecutive items of about `size` mentions; an item of more is alone in its range, which has salts.

    loads  (n,) float64 mentions of the sessions of each item
    least  mentions that an item counts for at least: its result takes memory, too
    """
    heavy = loads > size
    light = np.where(heavy, 0, np.maximum(loads, min(least, size)))
    number = (np.cumsum(light) - light) // size
    new = np.ones(len(loads), dtype=bool)
    new[1:] = (number[1:] != number[:-1]) | heavy[1:] | heavy[:-1]
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(loads))
    salts = np.where(heavy[first], np.ceil(loads[first] / size), 1).astype(np.int64)
    return Plan(first, last, np.cumsum(salts) - salts, salts, (np.cumsum(new) - 1).astype(np.int32))
