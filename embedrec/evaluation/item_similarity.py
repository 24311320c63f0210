"""Evaluation of similar items, by held-out sessions and by labels such as genres."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.errors import DataError
from embedrec.evaluation.beyond_accuracy import aggregate_metrics
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
    report: Report = quiet,
) -> Evaluation:
    """Evaluate neighbours on `test_cases` (see `cooccurring_items`); coverage, gini and diversity cover all items.

    labels  (n, g) sparse 0/1 matrix of the training vocabulary's labels, or None; they add "label_overlap@10"
    """
    result = evaluate(model, test_cases, train, settings, report=report)
    lists = neighbours(model, train, max(settings.at[-1], _WITHIN))
    aggregate = aggregate_metrics(lists, train, settings.at, seed=settings.seed)
    if labels is not None:
        aggregate[LABEL_OVERLAP] = float(label_overlap(lists[:, :_WITHIN], labels).mean())
    return replace(result, aggregate=aggregate)


def neighbours(model: Model, train: Sessions, k: int) -> np.ndarray:
    """The recommendations for each single item: (n, k) int32 rows in the training vocabulary, without the item itself,
    −1 for missing. Items unknown to the model have none."""
    row_of = np.append(train.vocab.rows_of(model.vocab.ids), -1).astype(np.int32)
    lists = np.full((len(train.vocab), k), -1, dtype=np.int32)
    reach = min(k, len(model.vocab))
    for start in range(0, len(model.vocab), BLOCK_ITEMS):
        items = np.arange(start, min(start + BLOCK_ITEMS, len(model.vocab)))
        alone = Sessions(np.arange(len(items) + 1), items, model.vocab, items)
        rows = row_of[model.recommend(alone, reach, exclude_seen=True).rows]
        known = row_of[items] >= 0
        lists[row_of[items][known], :reach] = rows[known]
    return lists


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
