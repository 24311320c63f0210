"""Answers: whatever can be exported, and its lists in blocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from embedrec.data.topk import ItemNeighbours, TopK
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError

S = TypeVar("S")
T = TypeVar("T")

BLOCK = 4096  # lists asked for and written at a time


@dataclass(frozen=True, eq=False)
class ResultLists:
    """The best results of each of q seeds: similar items, neighbouring sessions, or recommendations for histories.

    seeds    ids of what is asked about
    vocab    what the results are rows of; the seeds themselves where an item or a session is compared with others
    best     rows (b,) int64 of seeds, k → TopK (b, k)
    most     the largest k there is
    columns  what a seed and a result are called in files
    """

    seeds: Vocab
    vocab: Vocab
    best: Callable[[np.ndarray, int], TopK]
    most: int
    columns: tuple[str, str] = ("item", "similar")

    def __len__(self) -> int:
        return len(self.seeds)

    def columns_with(self, names: bool) -> list[str]:
        """What columns of a table are called: seed, rank, result, score, and names of those that have some.

        Raises DataError where names are wanted, and neither seeds nor results have some.
        """
        seed, result = self.columns
        named = [f"{column}_name" for column, held in self.named() if held.names is not None] if names else []
        if names and not named:
            raise DataError("these items have no names; leave --names out")
        return [seed, "rank", result, "score", *named]

    def named(self) -> list[tuple[str, Vocab]]:
        """Seeds and results, by what they are called."""
        return list(zip(self.columns, (self.seeds, self.vocab), strict=True))

    def block(self, here: slice, k: int) -> TopK:
        """The lists of a slice of the seeds: TopK (b, min(k, most))."""
        rows = np.arange(here.start, here.stop)
        if not self.most:  # an item alone
            nothing = np.empty((len(rows), 0))
            return TopK(nothing, nothing, self.vocab)
        return self.best(rows, min(k, self.most))


def item_answers(source: ItemNeighbours) -> ResultLists:
    """Every item's nearest others."""
    return ResultLists(source.vocab, source.vocab, source.neighbours, max(len(source.vocab) - 1, 0))


class ListBlocks(Protocol):
    """q lists of k results, whatever they are kept in or made by."""

    @property
    def q(self) -> int: ...

    @property
    def k(self) -> int: ...

    def block(self, here: slice) -> tuple[np.ndarray, np.ndarray]:
        """Rows (b, k) int32 and scores (b, k) float32 of a slice."""
        ...


@dataclass(frozen=True, eq=False)
class Fresh:
    """Lists of answers that are found when they are asked for."""

    answers: ResultLists
    most: int

    @property
    def q(self) -> int:
        return len(self.answers)

    @property
    def k(self) -> int:
        return min(self.most, self.answers.most)

    def block(self, here: slice) -> tuple[np.ndarray, np.ndarray]:
        """See `ListBlocks`."""
        found = self.answers.block(here, self.k)
        return found.rows.astype(np.int32), found.scores


def slices(start: int, stop: int, step: int | None = None) -> Iterator[slice]:
    """Slices that go from start to stop in steps, of a block by default."""
    step = BLOCK if step is None else step
    return (slice(at, min(at + step, stop)) for at in range(start, stop, step))


def in_order(function: Callable[[S], T], values: Iterable[S], threads: int) -> Iterator[T]:
    """function(value) of all values in their order, worked on by several threads; few results wait at a time."""
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for value in values:
                waiting.append(pool.submit(function, value))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
