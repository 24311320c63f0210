"""Counts of item pairs in sessions: by several threads, in parts, and on disk under a memory budget.

Results do not depend on parts or threads: each item is counted separately.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice, pairwise
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeVar

import numpy as np

from embedrec.config import Settings
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.models.array_packing import locked
from embedrec.models.base import Arrays, Model
from embedrec.progress import Report, quiet
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget, count_rows

if TYPE_CHECKING:
    from embedrec.kernels.pair_counts import Formula, Mentions

T = TypeVar("T")

FLOAT32_EXACT = 1 << 24  # sessions; float32 counts exactly up to this number
TASK_PAIRS = 1 << 18  # pairs of one task of a thread,
TASK_PAIRS_PER_ITEM = 8  # and at least so many for each item, so that they outweigh clearing the scratch memory
NO_NUMBERS = locked(np.zeros(0))


class Pairs(NamedTuple):
    """A symmetric sparse matrix (n, n), each pair once: item a with those in rows[starts[a]:ends[a]].

    starts, ends (n,) int64; rows int32, all higher than a, in no particular order; values float32
    """

    starts: np.ndarray
    ends: np.ndarray
    rows: np.ndarray
    values: np.ndarray


class Bounded(Settings, ABC):
    """A recipe that can be fitted under a memory budget."""

    name: ClassVar[str]

    @abstractmethod
    def fit(
        self,
        sessions: Sessions,
        *,
        seed: int = 0,
        threads: int = 1,
        report: Report = quiet,
        memory: MemoryBudget = IN_MEMORY,
    ) -> Model:
        """As `Recipe.fit`; `memory` holds arrays that grow with events, items or pairs. It does not change results."""

    @abstractmethod
    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> Model: ...


def frequent(sessions: Sessions, min_count: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of items mentioned at least min_count times, ascending, and their counts: (n,), (n,) int64.

    Raises DataError when there are none.
    """
    mentions = count_rows(sessions.items, len(sessions.vocab))
    rows = np.flatnonzero(mentions >= min_count)
    if not len(rows):
        raise DataError(
            f"none of the {len(mentions)} items is mentioned min_count={min_count} times"
            f" (the most frequent has {mentions.max(initial=0)}); lower min_count"
        )
    return rows, mentions[rows]


def every_pair(sessions: Sessions, *, itself: bool) -> Mentions:
    """Mentions that count every pair of mentions in a session, both ways.

    Repeated items of a session are stored once with their count: the work grows with the squared number
    of different items of a session, not with its squared length.
    """
    from embedrec.kernels.pair_counts import repeats

    n = len(sessions.vocab)
    once = one_mention(sessions, np.arange(n), 0)
    times = np.empty(len(once.items), dtype=np.float64)
    repeats(locked(sessions.offsets), locked(sessions.items), once.offsets, once.items, n, times)
    gap = np.ones(len(once.gap))
    return once._replace(gap=locked(gap), times=locked(times), itself=itself)


def every_mention(sessions: Sessions, gap: np.ndarray, *, back: bool, itself: bool) -> Mentions:
    """All mentions of sessions, with pairs by `gap`, `back` and `itself`; see `Mentions`."""
    session = np.repeat(np.arange(len(sessions), dtype=np.int32), sessions.lengths)
    events, n = (sessions.offsets, sessions.items, session), len(sessions.vocab)
    return _indexed(events, n, gap, IN_MEMORY)._replace(back=back, itself=itself)


def one_mention(sessions: Sessions, rows: np.ndarray, window: int, memory: MemoryBudget = IN_MEMORY) -> Mentions:
    """The first mention in each session of each of n items; all others are left out.

    rows    (n,) int64 rows of the items in the sessions' vocabulary, whose numbers here are 0 … n − 1
    window  largest distance of a pair among the remaining mentions; 0: all of a session
    """
    from embedrec.kernels.pair_counts import once

    new = np.full(len(sessions.vocab), -1, dtype=np.int32)
    new[rows] = np.arange(len(rows), dtype=np.int32)
    offsets = np.empty(len(sessions) + 1, dtype=np.int64)
    items, session = (memory.empty(len(sessions.items), np.int32) for _ in range(2))
    size = once(sessions.offsets, sessions.items, new, len(rows), not window, offsets, items, session)
    longest = int(np.diff(offsets).max(initial=1))
    exact = np.float32 if len(sessions) < FLOAT32_EXACT else np.float64
    gap = np.ones(1 + (min(window, longest) if window else longest), exact)
    events = (offsets, items[:size], session[:size])
    return _indexed(events, len(rows), gap, memory)._replace(ascending=not window)


def weighted(mentions: Mentions, factor: np.ndarray, *, scaled: bool = True) -> tuple[Mentions, np.ndarray]:
    """The same, pairs of a session counting what `factor` (S,) says; and its sum over sessions of each item, (n,).

    scaled  so that the mean factor of a mention is 1
    """
    from embedrec.kernels.pair_counts import weights

    lengths = np.diff(mentions.offsets)
    if scaled:
        factor = factor * (lengths.sum() / max(float((factor * lengths).sum()), np.finfo(float).tiny))
    weighted = mentions._replace(gap=locked(mentions.gap.astype(np.float64)), factor=locked(factor))
    return weighted, weights(mentions.items, mentions.session, factor, len(mentions.starts) - 1)


def totals(mentions: Mentions) -> np.ndarray:
    """The sum of the counts of an item with all others: (n,) float64. Every gap must count 1."""
    from embedrec.kernels.pair_counts import reached

    m = mentions
    return reached(m.offsets, m.items, len(m.starts) - 1, len(m.gap) - 1, m.back, m.factor)


def best_lists(
    mentions: Mentions, formula: Formula, most: int, *, threads: int, memory: MemoryBudget = IN_MEMORY, report: Report
) -> dict[str, np.ndarray]:
    """The `most` best beside each item: "items" (n, m) int32 rows, −1 for none, and "scores" (n, m) float32.

    As wide as the longest list. `report` hears report("progress", done=, total=, unit="events").
    """
    from embedrec.kernels.pair_counts import best

    work, n = _work(mentions), len(mentions.starts) - 1
    # with `times`, an item may stand beside itself as well
    width = max(1, min(most, n, int(work.max(initial=0)) + (mentions.itself and len(mentions.times) > 0)))
    rows = memory.full(n * width, -1, np.int32).reshape(n, width)
    scores = memory.full(n * width, -np.inf, np.float32).reshape(n, width)

    def part(first: int, last: int) -> int:
        return best(mentions, formula, first, last, rows, scores)

    longest = max([1, *_in_parts(part, work, mentions, threads, report)])
    return {"items": _narrowed(rows, longest, memory), "scores": _narrowed(scores, longest, memory)}


def all_pairs(
    mentions: Mentions, formula: Formula, *, threads: int, memory: MemoryBudget = IN_MEMORY, report: Report
) -> Pairs:
    """The scores of all pairs, each once; for formulas that are the same both ways. Arguments as of `best_lists`."""
    from embedrec.kernels.pair_counts import pairs

    if mentions.ascending:  # items after an item have higher rows
        mentions = mentions._replace(back=False)
    work = _work(mentions)
    bounds = np.concatenate([[0], np.cumsum(np.minimum(work, len(work)))])  # unused capacity is never written
    starts, ends = bounds[:-1], np.empty(len(work), dtype=np.int64)
    rows, values = memory.empty(int(bounds[-1]), np.int32), memory.empty(int(bounds[-1]), np.float32)

    def part(first: int, last: int) -> None:
        pairs(mentions, formula, first, last, starts, ends, rows, values)

    for _ in _in_parts(part, work, mentions, threads, report):
        pass
    return Pairs(starts, ends, rows, values)


def _indexed(
    events: tuple[np.ndarray, np.ndarray, np.ndarray], n: int, gap: np.ndarray, memory: MemoryBudget
) -> Mentions:
    """Mentions of n items (offsets, items, session) with the index that leads from an item to them.

    Pairs go both ways, none of an item with itself, and sessions count 1.
    """
    from embedrec.kernels.pair_counts import Mentions, mentions

    offsets, items, session = map(locked, events)
    places = memory.empty(len(items), np.int64)
    starts = mentions(items, n, places)
    index = locked(starts), locked(places)
    return Mentions(
        offsets, items, session, *index, locked(gap), NO_NUMBERS, NO_NUMBERS, back=True, itself=False, ascending=False
    )


def _work(m: Mentions) -> np.ndarray:
    """Pairs that are added up for each item: (n,) int64."""
    from embedrec.kernels.pair_counts import reached

    return reached(m.offsets, m.items, len(m.starts) - 1, len(m.gap) - 1, m.back, NO_NUMBERS).astype(np.int64)


def _in_parts(
    part: Callable[[int, int], T], work: np.ndarray, mentions: Mentions, threads: int, report: Report
) -> Iterator[T]:
    """part(first, last) for ranges of items that cover all, in order; few are done before they are asked for."""
    waiting: deque[tuple[int, Future[T]]] = deque()
    events = mentions.starts  # (n+1,) of all items before each
    if len(mentions.times):
        events = np.concatenate([[0], np.cumsum(np.bincount(mentions.items, mentions.times, len(work)))])
    with ThreadPoolExecutor(threads) as pool:
        try:
            cuts = _cuts(work, max(TASK_PAIRS, TASK_PAIRS_PER_ITEM * len(work)))
            while True:
                for first, last in islice(cuts, threads + 1 - len(waiting)):
                    waiting.append((last, pool.submit(part, first, last)))
                if not waiting:
                    return
                last, done = waiting.popleft()
                yield done.result()
                report("progress", done=int(events[last]), total=int(events[-1]), unit="events")
        finally:
            pool.shutdown(cancel_futures=True)  # no further parts after an error or Ctrl-C


def _cuts(work: np.ndarray, at_once: int) -> Iterator[tuple[int, int]]:
    """Ranges of items with about `at_once` of `work` (n,) each."""
    done = np.cumsum(work + 1)
    ends = np.searchsorted(done, np.arange(at_once, done[-1] if len(done) else 0, at_once))
    yield from pairwise(np.unique(np.concatenate([[0], ends, [len(work)]])).tolist())


def _narrowed(lists: np.ndarray, width: int, memory: MemoryBudget) -> np.ndarray:
    """The first columns of an array (n, m): (n, width)."""
    if width == lists.shape[1]:
        return lists
    out = memory.empty(len(lists) * width, lists.dtype).reshape(len(lists), width)
    out[:] = lists[:, :width]
    return out
