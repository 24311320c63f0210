"""Recipes from counts of item pairs in sessions: in parallel, in ranges of items, on disk under a memory budget.

Results do not depend on ranges or threads, because each item is counted separately.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice, pairwise
from typing import TYPE_CHECKING, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from embedrec.config import Settings
from embedrec.data.session_changes import SessionChanges
from embedrec.data.sessions import Sessions, check_sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.models.array_packing import locked
from embedrec.models.base import Arrays, Model
from embedrec.models.long_sessions import report_long
from embedrec.models.session_weights import PairStatistics, exact_session_weights
from embedrec.models.warm_start import check_warm_start
from embedrec.progress import Report, quiet
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget, count_rows

if TYPE_CHECKING:
    from embedrec.kernels.pair_counts import Formula, Mentions

T = TypeVar("T")
M = TypeVar("M", bound=Model)

FLOAT32_EXACT = 1 << 24  # sessions; float32 counts exactly up to this number
TASK_PAIRS = 1 << 18  # pairs of one task of a thread,
TASK_PAIRS_PER_ITEM = 8  # and at least so many for each item, so that they outweigh clearing the scratch memory
NEARLY_THE_SAME = 0.9  # share of unchanged events in sessions whose models are near each other
NO_NUMBERS = locked(np.zeros(0))


class Pairs(NamedTuple):
    """A symmetric sparse matrix (n, n) with each pair once: item a and the items rows[starts[a]:ends[a]].

    starts, ends (n,) int64; rows int32, all higher than a, in any order; values float32
    """

    starts: np.ndarray
    ends: np.ndarray
    rows: np.ndarray
    values: np.ndarray


class PairSource(Protocol):
    """Scores of item pairs, counted in this process or elsewhere; see `PairCounting`.

    sessions  number of sessions
    threads, report, memory  see `PairCountRecipe.fit`
    """

    @property
    def sessions(self) -> int: ...

    @property
    def threads(self) -> int: ...

    @property
    def report(self) -> Report: ...

    @property
    def memory(self) -> MemoryBudget: ...

    def best_lists(self, most: int) -> dict[str, np.ndarray]:
        """The `most` best partners of each item: "items" (n, m) int32 rows, −1 for none, and "scores" (n, m) float32.

        m is the length of the longest list. Reports report("progress", done=, total=, unit=).
        """
        ...

    def all_pairs(self) -> Pairs:
        """The scores of all pairs, each once; for symmetric formulas. Reports as `best_lists`."""
        ...


class PairCounting(NamedTuple):
    """Counts the pairs of mentions in this process and scores them."""

    mentions: Mentions
    formula: Formula
    threads: int
    report: Report
    memory: MemoryBudget = IN_MEMORY

    @property
    def sessions(self) -> int:
        return len(self.mentions.offsets) - 1

    def best_lists(self, most: int) -> dict[str, np.ndarray]:
        """See `PairSource`; progress is counted in events."""
        from embedrec.kernels.pair_counts import best_neighbours

        mentions, formula, memory = self.mentions, self.formula, self.memory
        work, n = _work(mentions), len(mentions.starts) - 1
        # with `times`, an item may be its own partner
        width = max(1, min(most, n, int(work.max(initial=0)) + (mentions.itself and len(mentions.times) > 0)))
        rows = memory.full(n * width, -1, np.int32).reshape(n, width)
        scores = memory.full(n * width, -np.inf, np.float32).reshape(n, width)

        def part(first: int, last: int) -> int:
            return best_neighbours(mentions, formula, first, last, rows[first:last], scores[first:last])

        longest = max([1, *_run_ranges(part, work, self)])
        return {"items": _first_columns(rows, longest, memory), "scores": _first_columns(scores, longest, memory)}

    def all_pairs(self, first_items: int | None = None) -> Pairs:
        """See `PairSource`.

        first_items  pairs of so many first items only, among each other and with the others; None for all
        """
        from embedrec.kernels.pair_counts import score_pairs

        mentions, formula, memory = self.mentions, self.formula, self.memory
        if mentions.ascending:  # items after an item have higher rows
            mentions = mentions._replace(back=False)
        work = _work(mentions)
        bounds = np.concatenate([[0], np.cumsum(np.minimum(work, len(work)))])  # unused capacity is never written
        if first_items is not None:
            work, bounds = work[:first_items], bounds[: first_items + 1]
        starts, ends = bounds[:-1], np.empty(len(work), dtype=np.int64)
        rows, values = memory.empty(int(bounds[-1]), np.int32), memory.empty(int(bounds[-1]), np.float32)

        def part(first: int, last: int) -> None:
            score_pairs(mentions, formula, first, last, starts[first:last], ends[first:last], rows, values)

        for _ in _run_ranges(part, work, self._replace(mentions=mentions)):
            pass
        return Pairs(starts, ends, rows, values)


class PairCountRecipe(Settings, ABC, Generic[M]):
    """A recipe whose model derives from scores of item pairs; it can be fitted under a memory budget.

    window     largest distance of the items of a pair; 0 is the whole session
    min_count  items mentioned less often are left out
    """

    name: ClassVar[str]
    window: int
    min_count: int

    def fit(
        self,
        sessions: Sessions,
        *,
        seed: int = 0,
        threads: int = 1,
        report: Report = quiet,
        memory: MemoryBudget = IN_MEMORY,
        init: M | None = None,
        changes: SessionChanges | None = None,
    ) -> M:
        """Count pairs and build the model.

        seed     source of randomness; models without any ignore it
        threads  number of threads; results do not depend on it
        report   called as report("vocabulary", items=, left_out=), report("long_sessions", …), see `report_long`, and
                 report("progress", done=, total=, unit="events")
        memory   where arrays that grow with events, items or pairs are stored; results do not depend on it
        init     a model of nearly the same sessions: where it helps, the computation starts from it
        changes  how much they differ; without it, `init` has no effect

        Raises DataError when no item is mentioned often enough, and when the model needs pairs and there are none;
        SettingsError for an `init` or `changes` that do not fit.
        """
        check_sessions(sessions)
        check_warm_start(self, init, changes, sessions)
        rows, counts = frequent_items(sessions, self.min_count)
        report("vocabulary", items=len(rows), left_out=len(sessions.vocab) - len(rows))
        mentions, formula = self.pair_formula(one_mention(sessions, rows, self.window, memory))
        report_long(sessions, np.diff(mentions.offsets), self.window, report)
        counting = PairCounting(mentions, formula, threads, report, memory)
        vocab = sessions.vocab.take(rows).with_counts(counts)
        earlier = init if changes is not None and changes.kept_share >= NEARLY_THE_SAME else None
        arrays = self.count_arrays(counting, vocab, seed, earlier)
        return self.completed(self.from_arrays(vocab, arrays), sessions, memory)

    def pair_formula(self, mentions: Mentions) -> tuple[Mentions, Formula]:
        """The mentions, with weights of sessions, and the formula of the pair scores."""
        lengths, n = np.diff(mentions.offsets), len(mentions.starts) - 1
        histogram = np.bincount(lengths, minlength=1)
        counts = np.diff(mentions.starts).astype(np.float64)
        weights, norms = self.session_weights(histogram, n), counts
        if weights is not None:
            mentions, norms = weight_sessions(mentions, exact_session_weights(weights, histogram)[lengths])
        return mentions, self.formula(PairStatistics(len(lengths), counts, norms, totals(mentions)))

    @abstractmethod
    def session_weights(self, lengths: np.ndarray, n: int) -> np.ndarray | None:
        """The weight of the pairs of a session by its number of items, (l+1,) float64; None if all weigh 1.

        lengths  (l+1,) int64 number of sessions of 0 … l of the n items
        """

    @abstractmethod
    def formula(self, statistics: PairStatistics) -> Formula:
        """The formula of the pair scores."""

    @abstractmethod
    def count_arrays(self, counting: PairSource, vocab: Vocab, seed: int, earlier: M | None) -> dict[str, np.ndarray]:
        """The arrays of the model, about the items of `vocab`.

        earlier  a model of nearly the same sessions, or None
        """

    def completed(self, model: M, sessions: Sessions, memory: MemoryBudget) -> M:
        """The model of the pairs, with what it learns from the sessions beside them: nothing."""
        return model

    @abstractmethod
    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> M: ...


def frequent_items(sessions: Sessions, min_count: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of items mentioned at least min_count times, and their counts, see `frequent_rows`."""
    return frequent_rows(count_rows(sessions.items, len(sessions.vocab)), min_count)


def frequent_rows(mentions: np.ndarray, min_count: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of items mentioned at least min_count times, ascending, and their counts: (m,), (m,) int64.

    mentions  (n,) int64 of each item

    Raises DataError when there are none.
    """
    rows = np.flatnonzero(mentions >= min_count)
    if not len(rows):
        raise DataError(
            f"none of the {len(mentions)} items is mentioned min_count={min_count} times"
            f" (the most frequent has {mentions.max(initial=0)}); lower min_count"
        )
    return rows, mentions[rows]


def every_pair(sessions: Sessions, *, itself: bool) -> Mentions:
    """Mentions for counting every pair of mentions in a session, in both directions.

    Repeated items of a session are stored once with their count: the work grows with the square of the number of
    distinct items of a session, not of its length.
    """
    from embedrec.kernels.pair_counts import count_repeats

    n = len(sessions.vocab)
    once = one_mention(sessions, np.arange(n), 0)
    times = np.empty(len(once.items), dtype=np.float64)
    count_repeats(locked(sessions.offsets), locked(sessions.items), once.offsets, once.items, n, times)
    gap = np.ones(len(once.gap))
    return once._replace(gap=locked(gap), times=locked(times), itself=itself)


def every_mention(sessions: Sessions, gap: np.ndarray, *, back: bool, itself: bool) -> Mentions:
    """All mentions of sessions, with pairs by `gap`, `back` and `itself`; see `Mentions`."""
    session = np.repeat(np.arange(len(sessions), dtype=np.int32), sessions.lengths)
    events, n = (sessions.offsets, sessions.items, session), len(sessions.vocab)
    return _indexed(events, n, gap, IN_MEMORY)._replace(back=back, itself=itself)


def one_mention(sessions: Sessions, rows: np.ndarray, window: int, memory: MemoryBudget = IN_MEMORY) -> Mentions:
    """The first mention of each of n items in each session, without the other mentions.

    rows    (n,) int64 rows of the items in the sessions' vocabulary; the mentions number them 0 … n − 1
    window  largest distance of a pair among the remaining mentions; 0 for the whole session
    """
    from embedrec.kernels.pair_counts import first_mentions

    new = np.full(len(sessions.vocab), -1, dtype=np.int32)
    new[rows] = np.arange(len(rows), dtype=np.int32)
    offsets = np.empty(len(sessions) + 1, dtype=np.int64)
    items, session = (memory.empty(len(sessions.items), np.int32) for _ in range(2))
    size = first_mentions(sessions.offsets, sessions.items, new, len(rows), not window, offsets, items, session)
    longest = int(np.diff(offsets).max(initial=1))
    exact = np.float32 if len(sessions) < FLOAT32_EXACT else np.float64
    gap = np.ones(1 + (min(window, longest) if window else longest), exact)
    events = (offsets, items[:size], session[:size])
    return _indexed(events, len(rows), gap, memory)._replace(ascending=not window)


def weight_sessions(mentions: Mentions, factor: np.ndarray) -> tuple[Mentions, np.ndarray]:
    """The mentions with a `factor` (S,) for the pairs of each session; its sum over the sessions of an item, (n,)."""
    from embedrec.kernels.pair_counts import sum_factors

    result = mentions._replace(gap=locked(mentions.gap.astype(np.float64)), factor=locked(factor))
    return result, sum_factors(mentions.items, mentions.session, factor, len(mentions.starts) - 1)


def totals(mentions: Mentions) -> np.ndarray:
    """The sum of the counts of an item with all others: (n,) float64. Every gap must have weight 1."""
    from embedrec.kernels.pair_counts import count_reached

    m = mentions
    return count_reached(m.offsets, m.items, len(m.starts) - 1, len(m.gap) - 1, m.back, m.factor)


def _indexed(
    events: tuple[np.ndarray, np.ndarray, np.ndarray], n: int, gap: np.ndarray, memory: MemoryBudget
) -> Mentions:
    """Mentions of n items (offsets, items, session) with their index by item.

    Pairs count in both directions, never for an item with itself, with weight 1 for each session.
    """
    from embedrec.kernels.pair_counts import Mentions, index_mentions

    offsets, items, session = map(locked, events)
    places = memory.empty(len(items), np.int64)
    starts = index_mentions(items, n, places)
    index = locked(starts), locked(places)
    return Mentions(
        offsets, items, session, *index, locked(gap), NO_NUMBERS, NO_NUMBERS, back=True, itself=False, ascending=False
    )


def _work(m: Mentions) -> np.ndarray:
    """The number of pairs to sum for each item: (n,) int64."""
    from embedrec.kernels.pair_counts import count_reached

    return count_reached(m.offsets, m.items, len(m.starts) - 1, len(m.gap) - 1, m.back, NO_NUMBERS).astype(np.int64)


def _run_ranges(part: Callable[[int, int], T], work: np.ndarray, counting: PairCounting) -> Iterator[T]:
    """part(first, last) for consecutive ranges of all items, in order; at most threads + 1 ranges run ahead."""
    mentions, threads = counting.mentions, counting.threads
    pending: deque[tuple[int, Future[T]]] = deque()
    events = mentions.starts  # (n+1,) of all items before each
    if len(mentions.times):
        events = np.concatenate([[0], np.cumsum(np.bincount(mentions.items, mentions.times, len(work)))])
    with ThreadPoolExecutor(threads) as pool:
        try:
            ranges = _ranges(work, max(TASK_PAIRS, TASK_PAIRS_PER_ITEM * len(work)))
            while True:
                for first, last in islice(ranges, threads + 1 - len(pending)):
                    pending.append((last, pool.submit(part, first, last)))
                if not pending:
                    return
                last, future = pending.popleft()
                yield future.result()
                counting.report("progress", done=int(events[last]), total=int(events[-1]), unit="events")
        finally:
            pool.shutdown(cancel_futures=True)  # no further ranges after an error or Ctrl-C


def _ranges(work: np.ndarray, task: int) -> Iterator[tuple[int, int]]:
    """Ranges of items with about `task` of `work` (n,) each."""
    done = np.cumsum(work + 1)
    ends = np.searchsorted(done, np.arange(task, done[-1] if len(done) else 0, task))
    yield from pairwise(np.unique(np.concatenate([[0], ends, [len(work)]])).tolist())


def _first_columns(lists: np.ndarray, width: int, memory: MemoryBudget) -> np.ndarray:
    """The first columns of an array (n, m): (n, width)."""
    if width == lists.shape[1]:
        return lists
    out = memory.empty(len(lists) * width, lists.dtype).reshape(len(lists), width)
    out[:] = lists[:, :width]
    return out
