"""Rules from the last item to the next: association rules and sequential rules.

Ludewig & Jannach 2018 ("Evaluation of Session-based Recommendation Algorithms"), after Agrawal, Imieliński & Swami 1993
for rules of two items. Simple, fast, and often near the best in published comparisons.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models.base import Arrays
from embedrec.reporting import Report, quiet
from embedrec.topk import TopK, check_k

_AT_ONCE = 1 << 18  # pairs that a thread counts before it takes more


@dataclass(frozen=True)
class _Rules:
    """What both kinds share.

    pruning  rules an item, the best; more than there are is allowed, but an array of that width is kept for every item
    itself   whether an item can come after itself: repeated clicks, which only count where seen items may come back
    """

    pruning: int = 20
    itself: bool = True

    def __post_init__(self) -> None:
        if self.pruning < 1:
            raise SettingsError(f"pruning must be at least 1, but is {self.pruning}")

    def restore(self, vocab: Vocab, arrays: Arrays) -> RulesModel:
        """The model of the arrays "items" and "scores", both (n, m). Raises DataError when they do not fit."""
        items, scores = arrays["items"], arrays["scores"]
        TopK(items, scores, vocab)  # checks shape, order, and what is missing
        if len(items) != len(vocab) or items.dtype.kind != "i":
            raise DataError(f"{len(vocab)} items need so many rows of rules, but were given {items.shape}")
        if items.size and not -1 <= items.min() <= items.max() < len(vocab):
            raise DataError(f"rules must lead to one of {len(vocab)} items, but some lead elsewhere")
        return RulesModel(self, vocab, arrays)


@dataclass(frozen=True)
class AssociationRules(_Rules):
    """Items of the same session, wherever in it: every pair of mentions counts 1, both ways.

    pruning  rules an item, the best; more than there are is allowed, but an array of that width is kept for every item
    itself   whether an item can come after itself: repeated clicks, which only count where seen items may come back

    The work grows with the squared length of sessions. Raises SettingsError for a pruning below 1.
    """

    name: ClassVar[str] = "ar"

    def fit(self, sessions: Sessions, *, seed: int = 0, threads: int = 1, report: Report = quiet) -> RulesModel:
        """Count; nothing is drawn, so that `seed` changes nothing."""
        weight = np.ones(max(1, int(sessions.lengths.max(initial=0))))
        return self.restore(sessions.vocab, _count(self, sessions, weight, True, threads, report))


@dataclass(frozen=True)
class SequentialRules(_Rules):
    """What comes up to `steps` mentions later in the session, weighted with 1 over the distance.

    pruning  rules an item, the best; more than there are is allowed, but an array of that width is kept for every item
    itself   whether an item can come after itself: repeated clicks, which only count where seen items may come back
    steps    how many mentions later an item still counts

    Raises SettingsError for a pruning or steps below 1.
    """

    name: ClassVar[str] = "sr"

    steps: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1:
            raise SettingsError(f"steps must be at least 1, but is {self.steps}")

    def fit(self, sessions: Sessions, *, seed: int = 0, threads: int = 1, report: Report = quiet) -> RulesModel:
        """Count; nothing is drawn, so that `seed` changes nothing."""
        reach = min(self.steps, max(1, int(sessions.lengths.max(initial=0))))
        weight = 1 / np.maximum(np.arange(reach + 1), 1)
        return self.restore(sessions.vocab, _count(self, sessions, weight, False, threads, report))


@dataclass(frozen=True, eq=False)
class RulesModel:
    """The rules of the last item of a history answer it: fewer than k where there are fewer, none where it is empty.

    arrays  "items" (n, m) int32: where the rules of each item lead, best first, −1 for none; "scores" (n, m) float32
    """

    recipe: _Rules
    vocab: Vocab
    arrays: Arrays

    def recommend(self, histories: Sessions, k: int, *, seen: bool = False) -> TopK:
        """See `Model.recommend`."""
        from embedrec.kernels.topk import empty_best
        from embedrec.kernels.unseen import take

        check_k(k, len(self.vocab))
        histories = histories.recoded(self.vocab)
        asked = histories.lengths > 0
        last = np.full(len(histories), -1, dtype=np.int64)  # (q,) rows of the last items
        last[asked] = histories.items[histories.offsets[1:][asked] - 1]
        rows, scores = empty_best(len(histories), k)
        lists = (self.arrays["items"], self.arrays["scores"], last)
        take(*lists, histories.offsets, histories.items, len(self.vocab), seen, rows, scores)
        return TopK(rows, scores, self.vocab)


def _count(
    recipe: _Rules, sessions: Sessions, weight: np.ndarray, back: bool, threads: int, report: Report
) -> dict[str, np.ndarray]:
    """The arrays of a model; see `rules` for weight and back."""
    from embedrec.kernels.rules import mentions, pairs, rules

    n, offsets, items = len(sessions.vocab), sessions.offsets, sessions.items
    session = np.repeat(np.arange(len(sessions), dtype=np.int32), sessions.lengths)
    starts, places = mentions(items, n)
    work = pairs(offsets, items, n, len(weight) - 1, back)  # (n,)
    room = np.minimum(work, min(recipe.pruning, n))

    def part(bounds: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        first, last = bounds
        return rules(offsets, items, session, starts, places, weight, back, recipe.itself, first, room[first:last])

    found, rows, scores = [], [], []
    with ThreadPoolExecutor(threads) as pool:
        try:
            cuts = list(_cuts(work, max(_AT_ONCE, n)))  # a part clears a scratch pad of n, which must not outweigh it
            for (_, last), (f, r, s) in zip(cuts, pool.map(part, cuts), strict=True):
                found.append(f)
                rows.append(r)
                scores.append(s)
                report("progress", done=int(starts[last]), total=len(items), unit="events")
        finally:
            pool.shutdown(cancel_futures=True)  # after an error or Ctrl-C nobody starts another part
    sizes = np.concatenate([np.zeros(0, np.int64), *found])  # (n,)
    there = np.arange(max(1, sizes.max(initial=0))) < sizes[:, None]  # (n, m)
    lists = {"items": np.full(there.shape, -1, np.int32), "scores": np.full(there.shape, -np.inf, np.float32)}
    lists["items"][there] = np.concatenate([np.zeros(0, np.int32), *rows])
    lists["scores"][there] = np.concatenate([np.zeros(0, np.float32), *scores])
    return lists


def _cuts(work: np.ndarray, at_once: int) -> Iterator[tuple[int, int]]:
    """Ranges of items with about `at_once` of `work` (n,) each."""
    done = np.cumsum(work + 1)
    ends = np.searchsorted(done, np.arange(at_once, done[-1] if len(done) else 0, at_once))
    bounds = np.unique(np.concatenate([[0], ends, [len(work)]])).tolist()
    yield from pairwise(bounds)
