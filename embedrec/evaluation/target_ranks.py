"""Ranks of targets in a model's ranking of the whole catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from embedrec.data.topk import TopK
from embedrec.data.vocab import Vocab
from embedrec.evaluation.case_blocks import Compute, case_blocks, compute_here
from embedrec.models.base import Model
from embedrec.progress import Report, quiet
from embedrec.splitting.test_cases import TestCases

Ties = Literal["conservative", "standard", "median"]
SHARE_BEFORE = {
    "standard": 0.0,
    "conservative": 1.0,
    "median": 0.5,
}  # share of tied non-targets ranked before the target

BLOCK_RESULTS = 1 << 22  # results at a time of longer lists
GROWTH_FACTOR = 8  # factor by which lists grow until ties end inside them


@dataclass(frozen=True, eq=False)
class Ranking:
    """The lists of a model for Q test cases with T targets.

    vocab    the model's items
    rows     (Q, k) int32 the first k of each list, −1 for missing; of the items that tie at its end, only targets whose
             rank is at most k are guaranteed to be in it
    scores   (Q, k) float32
    offsets  (Q+1,) int64 targets of each case, as in `TestCases`
    ranks    (T,) float64 rank of each target, from 1; infinite beyond k
    """

    vocab: Vocab
    rows: np.ndarray
    scores: np.ndarray
    offsets: np.ndarray
    ranks: np.ndarray


def rank(
    model: Model,
    test_cases: TestCases,
    k: int,
    *,
    exclude_seen: bool,
    ties: Ties = "conservative",
    compute: Compute = compute_here,
    report: Report = quiet,
) -> Ranking:
    """The lists of a model, and the ranks of the targets among all its items.

    k     list length; shorter if the model has fewer items
    exclude_seen  whether items of the history are left out
    ties  rank of a target among items of equal score: "standard" first (#(>) + 1), "conservative" last (#(≥)),
          "median" in the middle. Several targets of equal score have consecutive ranks. An item without a score is
          never a hit.
    compute  where blocks of cases are ranked
    report  "progress" with `done` and `total` test cases
    """
    test_cases = test_cases.reindex(model.vocab)
    k = min(k, len(model.vocab))
    rows = np.empty((len(test_cases), k), dtype=np.int32)
    scores = np.empty((len(test_cases), k), dtype=np.float32)
    ranks = np.empty(len(test_cases.targets))
    blocks = list(case_blocks(test_cases.length))
    results = compute(model, test_cases, _RankBlock(k, exclude_seen, ties), blocks)
    for (start, stop), result in zip(blocks, results, strict=True):
        rows[start:stop], scores[start:stop], ranks[slice(*test_cases.offsets[[start, stop]])] = result
        report("progress", done=stop, total=len(test_cases), unit="test cases")
    return Ranking(model.vocab, rows, scores, test_cases.offsets, ranks)


@dataclass(frozen=True)
class _RankBlock:
    """A `BlockWork`: lists (b, k), their scores (b, k), and ranks of the targets (t,); see `rank`."""

    k: int
    exclude_seen: bool
    ties: Ties

    def __call__(
        self, model: Model, test_cases: TestCases, start: int, stop: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        k, exclude_seen, ties, n = self.k, self.exclude_seen, self.ties, len(model.vocab)
        histories = test_cases.histories(start, stop)
        offsets = test_cases.offsets[start : stop + 1] - test_cases.offsets[start]
        targets = test_cases.targets[slice(*test_cases.offsets[[start, stop]])]
        reach = min(k + 1, n)  # one more shows whether ties continue
        top = model.recommend(histories, reach, exclude_seen=exclude_seen)
        ranks, undecided = target_ranks(top.rows, top.scores, offsets, targets, k, ties, complete=reach == n)
        rows, scores = _first(top, offsets, targets, ranks, k)
        left = np.flatnonzero(undecided)
        while len(left):
            reach = min(reach * GROWTH_FACTOR, n)
            for part in np.array_split(left, -(-len(left) * reach // BLOCK_RESULTS)):
                wide = model.recommend(histories.take(part), reach, exclude_seen=exclude_seen)
                counts = np.diff(offsets)[part]
                starts = np.concatenate([[0], np.cumsum(counts)])
                at = np.repeat(offsets[part] - starts[:-1], counts) + np.arange(starts[-1])
                ranks[at], undecided[part] = target_ranks(
                    wide.rows, wide.scores, starts, targets[at], k, ties, complete=reach == n
                )
                rows[part], scores[part] = _first(wide, starts, targets[at], ranks[at], k)
            left = np.flatnonzero(undecided)
        return rows, scores, ranks


def _first(
    top: TopK, offsets: np.ndarray, targets: np.ndarray, ranks: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The first k of lists, and their scores, without targets that ties rank beyond k: both (b, k)."""
    case, at = _positions(top.rows, offsets, targets)
    late = (at >= 0) & np.isinf(ranks)
    beyond = np.zeros(top.rows.shape, dtype=bool)
    beyond[case[late], at[late]] = True
    order = np.argsort(beyond, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(top.rows, order, 1).astype(np.int32), np.take_along_axis(top.scores, order, 1)


def target_ranks(
    rows: np.ndarray,
    scores: np.ndarray,
    offsets: np.ndarray,
    targets: np.ndarray,
    k: int,
    ties: Ties,
    *,
    complete: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Ranks (t,) of targets in lists, infinite beyond k; and whether ties of each case (b,) may go beyond the list.

    rows, scores  (b, r) best first, −1 / −inf for missing
    offsets       (b+1,), targets (t,): the targets of each case; −1 is always a miss
    complete      whether the lists contain all items
    """
    b, r = rows.shape
    place = np.arange(r)
    change = np.ones((b, r + 1), dtype=bool)  # whether a new score begins
    change[:, 1:-1] = scores[:, 1:] != scores[:, :-1]
    first = np.maximum.accumulate(np.where(change[:, :-1], place, 0), axis=1)  # (b, r) start of equal scores
    after = np.minimum.accumulate(np.where(change[:, 1:], place + 1, r)[:, ::-1], axis=1)[:, ::-1]  # and their end
    case, at = _positions(rows, offsets, targets)
    ranks = np.full(len(targets), np.inf)
    hit = np.flatnonzero(at >= 0)
    case, at = case[hit], at[hit]
    begin, size = first[case, at], (after - first)[case, at]
    _, group, tied = np.unique(case * r + begin, return_inverse=True, return_counts=True)
    order = np.lexsort([at, group])
    nth = np.empty(len(hit), dtype=np.int64)  # position among targets of equal score
    nth[order] = np.arange(len(hit)) - np.repeat(np.cumsum(tied) - tied, tied)
    spare = size - tied[group]  # other items of that score
    ranks[hit] = begin + SHARE_BEFORE[ties] * spare + nth + 1
    ranks[ranks > k] = np.inf
    undecided = (rows[:, -1] >= 0) & (first[:, -1] < k) & (not complete)
    return ranks, undecided


def _positions(rows: np.ndarray, offsets: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The case of every target (t,), and its position in the case's list (t,), −1 if it is missing."""
    b, r = rows.shape
    case = np.repeat(np.arange(b), np.diff(offsets))
    n = int(max(rows.max(initial=0), targets.max(initial=0))) + 1
    keys = np.where(rows >= 0, np.arange(b)[:, None] * n + rows, -1).ravel()
    order = np.argsort(keys)
    keys_of_targets = case * n + targets
    near = np.minimum(np.searchsorted(keys, keys_of_targets, sorter=order), len(keys) - 1)
    same = (keys[order[near]] == keys_of_targets) & (targets >= 0)
    return case, np.where(same, order[near] % r, -1)
