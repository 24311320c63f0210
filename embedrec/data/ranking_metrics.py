"""Metrics of ranked lists, one value a query, from the ranks of its targets.

Only nDCG uses grades of relevance; for the other metrics all targets are equally relevant.

hit_rate@k   whether a target is among the first k; equals recall if there is one target
precision@k  targets among the first k, divided by k
recall@k     targets among the first k, divided by all targets
mrr@k        1 / rank of the best target, 0 beyond k (Voorhees 1999)
map@k        mean over all targets of the precision at its rank, 0 beyond k
ndcg@k       Σ grade/log2(rank + 1) over targets among the first k, divided by the best possible (Järvelin & Kekäläinen
             2002, as trec_eval computes it); a grade is 1 by default
r_precision  targets among the first R, divided by R, the number of targets
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RANKED_METRICS = ("hit_rate", "precision", "recall", "mrr", "map", "ndcg")


def ranked_metrics(
    ranks: np.ndarray, offsets: np.ndarray, ks: Sequence[int], grades: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Every metric at every k: "recall@20" → (Q,) float64.

    ranks    (T,) ranks of the targets, from 1, infinite for targets that are not ranked
    offsets  (Q+1,) int64: the ranks of query q are `ranks[offsets[q]:offsets[q + 1]]`, at least one
    grades   (T,) relevance of each target, above 0; None if all are equal
    """
    relevant = np.diff(offsets)  # (Q,)
    query = np.repeat(np.arange(len(relevant)), relevant)
    order = np.lexsort([ranks, query])
    ranks = ranks[order]  # ascending in each query
    nth = np.arange(1, len(ranks) + 1) - np.repeat(offsets[:-1], relevant)  # 1 for the best target
    gains = 1 / np.log2(ranks + 1)
    ideal_gains = None
    if grades is not None:
        gains = gains * grades[order]
        ideal_gains = grades[np.lexsort([-grades, query])] / np.log2(
            np.arange(1, len(grades) + 1) - np.repeat(offsets[:-1], relevant) + 1
        )  # gains of the targets in descending order of grade
    precisions = nth / ranks
    best = 1 / ranks[offsets[:-1]]
    values: dict[str, np.ndarray] = {}
    for k in ks:
        within = ranks <= k
        hits = _sums(within.astype(np.float64), offsets)
        values[f"hit_rate@{k}"] = (hits > 0).astype(np.float64)
        values[f"precision@{k}"] = hits / k
        values[f"recall@{k}"] = hits / relevant
        values[f"mrr@{k}"] = np.where(hits > 0, best, 0)
        values[f"map@{k}"] = _sums(np.where(within, precisions, 0), offsets) / relevant
        ideal = (
            _ideal(k)[np.minimum(relevant, k)]
            if ideal_gains is None
            else _sums(np.where(nth <= k, ideal_gains, 0), offsets)
        )
        values[f"ndcg@{k}"] = _sums(np.where(within, gains, 0), offsets) / ideal
    values["r_precision"] = _sums((ranks <= relevant[query]).astype(np.float64), offsets) / relevant
    return values


def _sums(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Sums (Q,) over the targets of each query."""
    return np.add.reduceat(values, offsets[:-1]) if len(offsets) > 1 else np.zeros(0)


def _ideal(k: int) -> np.ndarray:
    """The ideal discounted gain of 0 … k targets: (k+1,)."""
    return np.concatenate([[0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
