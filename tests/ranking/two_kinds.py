"""Sessions that two models together explain."""

from __future__ import annotations

import numpy as np

from embedrec.data.sessions import Sessions
from tests.conftest import of_lists


def two_kinds(count: int = 600) -> Sessions:
    """Half of the sessions follow a chain of 30 items; the others are any items of a group of five."""
    rng, lists = np.random.default_rng(0), []
    for s in range(count):
        if s % 2:
            lists.append([f"g{int(rng.integers(6))}{i}" for i in rng.permutation(5)[: rng.integers(2, 5)]])
        else:
            start = int(rng.integers(30))
            lists.append([f"c{(start + k) % 30}" for k in range(rng.integers(2, 9))])
    return of_lists(lists).drop_unused_items()
