"""Ranks: a model answers questions, and each target gets its place in the ranking of the whole catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from embedrec.data.topk import TopK
from embedrec.data.vocab import Vocab
from embedrec.models.base import Model
from embedrec.progress import Report, quiet
from embedrec.splitting.test_cases import TestCases

Ties = Literal["conservative", "standard", "median"]
SHARE_BEFORE = {"standard": 0.0, "conservative": 1.0, "median": 0.5}  # of the items of equal score, of those no targets

_BLOCK = 4096  # questions answered at a time
_EVENTS = 1 << 22  # of their histories at a time: those of every prefix of a session grow with its squared length
_WIDE = 1 << 22  # results held at a time where lists get long
_WIDER = 8  # so many times longer lists are asked for until ties end inside of them


@dataclass(frozen=True, eq=False)
class Ranking:
    """What a model answered to Q questions with T targets.

    vocab    the model's items
    rows     (Q, k) int32 the first k of each list, −1 where it is shorter; a list that is cut among items of equal
             score holds those targets of that score whose rank is within it, and no others
    scores   (Q, k) float32
    offsets  (Q+1,) int64 targets of each question, as in `TestCases`
    ranks    (T,) float64 place of each target, 1 for the first; infinite beyond k
    """

    vocab: Vocab
    rows: np.ndarray
    scores: np.ndarray
    offsets: np.ndarray
    ranks: np.ndarray


def rank(
    model: Model,
    questions: TestCases,
    k: int,
    *,
    exclude_seen: bool,
    ties: Ties = "conservative",
    report: Report = quiet,
) -> Ranking:
    """The lists of a model and the ranks of the targets, among all items of the model.

    k     lists are so long at most; shorter when the model has fewer items
    exclude_seen  whether items of the history are left out
    ties  where a target stands among items of equal score: "standard" first (#(>) + 1), "conservative" last (#(≥)),
          "median" in the middle. Several targets of equal score take places beside each other. An item that a model
          gives no score is never a hit.
    report  "progress" with `done` and `total` questions
    """
    questions = questions.reindex(model.vocab)
    k = min(k, len(model.vocab))
    rows = np.empty((len(questions), k), dtype=np.int32)
    scores = np.empty((len(questions), k), dtype=np.float32)
    ranks = np.empty(len(questions.targets))
    for start, stop in _blocks(questions.length):
        rows[start:stop], scores[start:stop], ranks[slice(*questions.offsets[[start, stop]])] = _answered(
            model, questions, start, stop, k, exclude_seen, ties
        )
        report("progress", done=stop, total=len(questions), unit="questions")
    return Ranking(model.vocab, rows, scores, questions.offsets, ranks)


def _blocks(length: np.ndarray) -> Iterator[tuple[int, int]]:
    """Ranges that cover all questions, of `_BLOCK` at most, and fewer where their histories (Q,) are long."""
    events = np.concatenate([[0], np.cumsum(length)])
    start = 0
    while start < len(length):
        most = int(np.searchsorted(events, events[start] + _EVENTS, side="right")) - 1
        stop = min(start + _BLOCK, max(most, start + 1), len(length))
        yield start, stop
        start = stop


def _answered(
    model: Model, questions: TestCases, start: int, stop: int, k: int, exclude_seen: bool, ties: Ties
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lists (b, k), their scores (b, k), and ranks of the targets (t,) of questions start … stop − 1."""
    n = len(model.vocab)
    histories = questions.histories(start, stop)
    offsets = questions.offsets[start : stop + 1] - questions.offsets[start]
    targets = questions.targets[slice(*questions.offsets[[start, stop]])]
    reach = min(k + 1, n)  # one more shows whether ties go on
    found = model.recommend(histories, reach, exclude_seen=exclude_seen)
    ranks, undecided = target_ranks(found.rows, found.scores, offsets, targets, k, ties, complete=reach == n)
    rows, scores = _first(found, offsets, targets, ranks, k)
    left = np.flatnonzero(undecided)
    while len(left):
        reach = min(reach * _WIDER, n)
        for part in np.array_split(left, -(-len(left) * reach // _WIDE)):
            wide = model.recommend(histories.take(part), reach, exclude_seen=exclude_seen)
            counts = np.diff(offsets)[part]
            some = np.concatenate([[0], np.cumsum(counts)])
            at = np.repeat(offsets[part] - some[:-1], counts) + np.arange(some[-1])
            ranks[at], undecided[part] = target_ranks(
                wide.rows, wide.scores, some, targets[at], k, ties, complete=reach == n
            )
            rows[part], scores[part] = _first(wide, some, targets[at], ranks[at], k)
        left = np.flatnonzero(undecided)
    return rows, scores, ranks


def _first(
    found: TopK, offsets: np.ndarray, targets: np.ndarray, ranks: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The first k of lists, and their scores, without the targets that ties put behind them: both (b, k)."""
    question, at = _found(found.rows, offsets, targets)
    late = (at >= 0) & np.isinf(ranks)
    behind = np.zeros(found.rows.shape, dtype=bool)
    behind[question[late], at[late]] = True
    order = np.argsort(behind, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(found.rows, order, 1).astype(np.int32), np.take_along_axis(found.scores, order, 1)


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
    """Ranks (t,) of targets in lists, infinite beyond k; and for which questions (b,) ties may go on beyond the list.

    rows, scores  (b, r) best first, −1 / −inf for missing
    offsets       (b+1,), targets (t,): the targets of each question; −1 is never found
    complete      whether the lists hold all there is
    """
    b, r = rows.shape
    place = np.arange(r)
    change = np.ones((b, r + 1), dtype=bool)  # whether another score begins here
    change[:, 1:-1] = scores[:, 1:] != scores[:, :-1]
    first = np.maximum.accumulate(np.where(change[:, :-1], place, 0), axis=1)  # (b, r) where equal scores begin
    after = np.minimum.accumulate(np.where(change[:, 1:], place + 1, r)[:, ::-1], axis=1)[:, ::-1]  # and end
    question, at = _found(rows, offsets, targets)
    ranks = np.full(len(targets), np.inf)
    hit = np.flatnonzero(at >= 0)
    question, at = question[hit], at[hit]
    begin, size = first[question, at], (after - first)[question, at]
    _, group, beside = np.unique(question * r + begin, return_inverse=True, return_counts=True)
    order = np.lexsort([at, group])
    nth = np.empty(len(hit), dtype=np.int64)  # which of the targets of equal score
    nth[order] = np.arange(len(hit)) - np.repeat(np.cumsum(beside) - beside, beside)
    spare = size - beside[group]  # items of that score that are no targets
    ranks[hit] = begin + SHARE_BEFORE[ties] * spare + nth + 1
    ranks[ranks > k] = np.inf
    undecided = (rows[:, -1] >= 0) & (first[:, -1] < k) & (not complete)
    return ranks, undecided


def _found(rows: np.ndarray, offsets: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of every target its question (t,), and its place in that list (t,), −1 where it is not there."""
    b, r = rows.shape
    question = np.repeat(np.arange(b), np.diff(offsets))
    n = int(max(rows.max(initial=0), targets.max(initial=0))) + 1
    keys = np.where(rows >= 0, np.arange(b)[:, None] * n + rows, -1).ravel()
    order = np.argsort(keys)
    wanted = question * n + targets
    near = np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)
    same = (keys[order[near]] == wanted) & (targets >= 0)
    return question, np.where(same, order[near] % r, -1)
