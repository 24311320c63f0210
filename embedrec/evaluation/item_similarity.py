"""Evaluation of similar items, by held-out sessions and by labels such as genres."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.errors import DataError
from embedrec.evaluation.beyond_accuracy import aggregate_metrics
from embedrec.evaluation.case_blocks import Compute, compute_here
from embedrec.evaluation.evaluate import Evaluation, EvaluationSettings, evaluate
from embedrec.models.base import Model
from embedrec.progress import Report, quiet
from embedrec.splitting.test_cases import TestCases

BLOCK_ITEMS = 4096  # items queried at a time
_LABELLED = 10  # neighbours with labels that are compared
LABEL_OVERLAP = f"label_overlap@{_LABELLED}"
_WITHIN = 20  # neighbours searched for labelled ones


def evaluate_similar(
    model: Model,
    test_cases: TestCases,
    train: Sessions,
    settings: EvaluationSettings,
    *,
    labels: Any = None,
    compute: Compute = compute_here,
    report: Report = quiet,
) -> Evaluation:
    """Evaluate neighbours on `test_cases` (see `cooccurring_items`); coverage, gini and diversity cover all items.

    labels  (n, g) sparse 0/1 matrix of the training vocabulary's labels, or None; they add "label_overlap@10"
    compute  where blocks of cases and of items are computed
    """
    result = evaluate(model, test_cases, train, settings, compute=compute, report=report)
    lists = neighbours(model, train, max(settings.at[-1], _WITHIN), compute)
    aggregate = aggregate_metrics(lists, train, settings.at, seed=settings.seed)
    if labels is not None:
        aggregate[LABEL_OVERLAP] = float(label_overlap(lists[:, :_WITHIN], labels).mean())
    return replace(result, aggregate=aggregate)


def neighbours(model: Model, train: Sessions, k: int, compute: Compute = compute_here) -> np.ndarray:
    """The recommendations for each single item: (n, k) int32 rows in the training vocabulary, without the item itself,
    −1 for missing. Items unknown to the model have none."""
    n = len(model.vocab)
    row_of = np.append(train.vocab.rows_of(model.vocab.ids), -1).astype(np.int32)
    lists = np.full((len(train.vocab), k), -1, dtype=np.int32)
    reach, items = min(k, n), np.arange(n)
    alone = Sessions(np.arange(n + 1), items, model.vocab, items)
    cases = TestCases(alone, items, np.ones(n, dtype=np.int64), np.arange(n + 1), np.full(n, -1))  # without a target
    blocks = [(start, min(start + BLOCK_ITEMS, n)) for start in range(0, n, BLOCK_ITEMS)]
    for (start, stop), (rows,) in zip(blocks, compute(model, cases, _Neighbours(reach), blocks), strict=True):
        places = row_of[start:stop]
        lists[places[places >= 0], :reach] = row_of[rows][places >= 0]
    return lists


@dataclass(frozen=True)
class _Neighbours:
    """A `BlockWork`: the lists of single items without these, (b, k) int32 rows in the model's vocabulary."""

    k: int

    def __call__(self, model: Model, test_cases: TestCases, start: int, stop: int) -> tuple[np.ndarray]:
        return (model.recommend(test_cases.histories(start, stop), self.k, exclude_seen=True).rows.astype(np.int32),)


def label_overlap(lists: np.ndarray, labels: Any) -> np.ndarray:
    """Jaccard overlap of an item's labels with those of its neighbours, mean over the first 10 that have labels.

    lists   (n, k) rows of neighbours, −1 for missing
    labels  (n, g) sparse 0/1 matrix

    Returns (m,) float64, a value for every item with labels, in order; 0 if no neighbour has any. Raises DataError if
    no item has labels.
    """
    import scipy.sparse as sp

    labels = sp.csr_array(labels, dtype=np.float32)
    sizes = np.asarray(labels.sum(axis=1)).ravel()  # (n,) labels of each item
    items = np.flatnonzero(sizes)
    if not len(items):
        raise DataError("no item has labels; check that the labels use the items' ids or names")
    rows = lists[items]  # (m, k)
    usable = (rows >= 0) & (sizes[rows] > 0)
    usable &= np.cumsum(usable, axis=1) <= _LABELLED
    query, column = np.nonzero(usable)
    near = rows[query, column]
    shared = np.asarray(labels[items[query]].multiply(labels[near]).sum(axis=1)).ravel()
    jaccard = shared / (sizes[items[query]] + sizes[near] - shared)
    total = np.bincount(query, jaccard, minlength=len(items))
    return total / np.maximum(usable.sum(axis=1), 1)
