"""Blocks of test cases, and where they are computed: in this process, or by executors of Spark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from embedrec.models.base import Model
from embedrec.splitting.test_cases import TestCases

BLOCK_CASES = 4096  # test cases at a time
BLOCK_EVENTS = 1 << 22  # events of their histories at a time: prefixes of a session grow with its squared length


class BlockWork(Protocol):
    """What is computed of each block; it can be pickled."""

    def __call__(self, model: Model, test_cases: TestCases, start: int, stop: int) -> tuple[np.ndarray, ...]:
        """The arrays of the cases start … stop − 1, which are in the model's vocabulary."""
        ...


class Compute(Protocol):
    """Where blocks are computed."""

    def __call__(
        self, model: Model, test_cases: TestCases, work: BlockWork, blocks: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[np.ndarray, ...]]:
        """The results of blocks (start, stop), in order; the cases are in the model's vocabulary."""
        ...


def compute_here(
    model: Model, test_cases: TestCases, work: BlockWork, blocks: Sequence[tuple[int, int]]
) -> Iterator[tuple[np.ndarray, ...]]:
    """A `Compute` in this process."""
    return (work(model, test_cases, start, stop) for start, stop in blocks)


def case_blocks(length: np.ndarray) -> Iterator[tuple[int, int]]:
    """Ranges that cover all cases, of at most `BLOCK_CASES` cases, and fewer for long histories (Q,)."""
    events = np.concatenate([[0], np.cumsum(length)])
    start = 0
    while start < len(length):
        most = int(np.searchsorted(events, events[start] + BLOCK_EVENTS, side="right")) - 1
        stop = min(start + BLOCK_CASES, max(most, start + 1), len(length))
        yield start, stop
        start = stop
