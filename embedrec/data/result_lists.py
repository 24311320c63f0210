"""Result lists: what an export or a publish writes, computed and read in blocks."""

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

BLOCK = 4096  # lists computed and written at a time


@dataclass(frozen=True, eq=False)
class ResultLists:
    """The best results of each of q seeds: similar items, neighbouring sessions, or recommendations for histories.

    seeds    ids of the queries
    vocab    ids of the results; the seeds themselves when items or sessions are compared with each other
    best     rows (b,) int64 of seeds, k → TopK (b, k)
    max_k    the largest possible k
    columns  names of the columns of seeds and results in files
    """

    seeds: Vocab
    vocab: Vocab
    best: Callable[[np.ndarray, int], TopK]
    max_k: int
    columns: tuple[str, str] = ("item", "similar")

    def __len__(self) -> int:
        return len(self.seeds)

    def column_names(self, names: bool) -> list[str]:
        """The columns of a table: seed, rank, result, score, and with `names` those of the vocabularies with names.

        Raises DataError for `names` if neither seeds nor results have names.
        """
        seed, result = self.columns
        named = [f"{column}_name" for column, vocab in self.vocabs() if vocab.names is not None] if names else []
        if names and not named:
            raise DataError("these items have no names; leave out --names")
        return [seed, "rank", result, "score", *named]

    def vocabs(self) -> list[tuple[str, Vocab]]:
        """The vocabularies of seeds and results, each with its column."""
        return list(zip(self.columns, (self.seeds, self.vocab), strict=True))

    def of(self, rows: np.ndarray, k: int) -> TopK:
        """The lists of the seeds rows (b,) int64: TopK (b, min(k, max_k))."""
        if not self.max_k:  # a catalogue of one item
            empty = np.empty((len(rows), 0))
            return TopK(empty, empty, self.vocab)
        return self.best(rows, min(k, self.max_k))

    def block(self, part: slice, k: int) -> TopK:
        """The lists of a slice of the seeds: TopK (b, min(k, max_k))."""
        return self.of(np.arange(part.start, part.stop), k)


def item_lists(source: ItemNeighbours) -> ResultLists:
    """The nearest neighbours of every item."""
    return ResultLists(source.vocab, source.vocab, source.neighbours, max(len(source.vocab) - 1, 0))


class ListBlocks(Protocol):
    """q lists of k results, stored or computed."""

    @property
    def q(self) -> int: ...

    @property
    def k(self) -> int: ...

    def block(self, part: slice) -> tuple[np.ndarray, np.ndarray]:
        """Rows (b, k) int32 and scores (b, k) float32 of a slice."""
        ...


class CandidateLists(ListBlocks, Protocol):
    """Lists from which policies select."""

    def mapped(self) -> np.ndarray:
        """All rows (q, k) int32."""
        ...


@dataclass(frozen=True, eq=False)
class LazyLists:
    """Lists that are computed on access, with at most `limit` results."""

    lists: ResultLists
    limit: int

    @property
    def q(self) -> int:
        return len(self.lists)

    @property
    def k(self) -> int:
        return min(self.limit, self.lists.max_k)

    def block(self, part: slice) -> tuple[np.ndarray, np.ndarray]:
        """See `ListBlocks`."""
        block = self.lists.block(part, self.k)
        return block.rows.astype(np.int32), block.scores

    def mapped(self) -> np.ndarray:
        """All rows (q, k) int32, computed."""
        blocks = [self.block(part)[0] for part in slices(0, self.q)]
        return np.concatenate([np.empty((0, self.k), dtype=np.int32), *blocks])


def slices(start: int, stop: int, step: int | None = None) -> Iterator[slice]:
    """Slices from start to stop of `step` elements, BLOCK by default."""
    step = BLOCK if step is None else step
    return (slice(at, min(at + step, stop)) for at in range(start, stop, step))


def map_in_order(function: Callable[[S], T], values: Iterable[S], threads: int) -> Iterator[T]:
    """function(value) of all values in their order, computed by several threads; few results are held at a time."""
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
