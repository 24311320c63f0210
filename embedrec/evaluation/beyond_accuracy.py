"""Metrics beyond accuracy: how much of the catalogue lists cover, how popular and how similar their items are.

coverage@k    share of the training catalogue that appears in some list
gini@k        how unevenly items appear in lists, over the whole catalogue: 0 for all equally, near 1 for few items only
popularity@k  mean training count of listed items, as a share of the most popular item's (Ludewig & Jannach 2018)
novelty@k     mean of −log2 of listed items' share of all training events (Vargas & Castells 2011)
diversity@k   mean over pairs in a list of 1 − cosine of the items' sets of training sessions, from a sample of lists
              (intra-list diversity, Ziegler et al. 2005)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.statistics import gini

AGGREGATE_METRICS = ("coverage", "gini", "diversity")
LIST_METRICS = ("popularity", "novelty")
SAMPLED_LISTS = 1000  # lists for diversity
BLOCK_ITEMS = 1 << 10  # items, about, of the lists of one block: all pairs of more would need gigabytes


def aggregate_metrics(lists: np.ndarray, train: Sessions, ks: Sequence[int], *, seed: int) -> dict[str, float]:
    """coverage, gini and diversity at every k: metrics of all lists together.

    lists  (Q, max k) rows in the training vocabulary, −1 for missing
    """
    values = {}
    for k in ks:
        shown = lists[:, :k]
        counts = np.bincount(shown[shown >= 0], minlength=len(train.vocab))  # (n,)
        values[f"coverage@{k}"] = float((counts > 0).mean())
        values[f"gini@{k}"] = gini(counts)
        if k > 1:
            values[f"diversity@{k}"] = _diversity(shown, train, seed)
    return values


def list_metrics(lists: np.ndarray, train: Sessions, ks: Sequence[int]) -> dict[str, np.ndarray]:
    """popularity and novelty at every k, a value a test case: (Q,), NaN for an empty list."""
    counts = np.bincount(train.items, minlength=len(train.vocab)).astype(np.float64)  # (n,)
    share = np.append(counts / max(counts.max(initial=1), 1), 0)  # the last is for −1
    with np.errstate(divide="ignore"):
        information = np.append(-np.log2(np.maximum(counts, 1) / max(counts.sum(), 1)), 0)
    values = {}
    for k in ks:
        shown = lists[:, :k]
        size = (shown >= 0).sum(axis=1)
        divisor = np.where(size > 0, size, np.nan)
        values[f"popularity@{k}"] = share[shown].sum(axis=1) / divisor
        values[f"novelty@{k}"] = information[shown].sum(axis=1) / divisor
    return values


def _diversity(lists: np.ndarray, train: Sessions, seed: int) -> float:
    import scipy.sparse as sp

    full = np.flatnonzero((lists >= 0).sum(axis=1) > 1)
    if not len(full):
        return float("nan")
    chosen = np.sort(np.random.default_rng(seed).permutation(full)[:SAMPLED_LISTS])
    lists = lists[chosen]
    items, local = np.unique(lists[lists >= 0], return_inverse=True)  # (m,)
    session = train.session_of
    column = np.full(len(train.vocab), -1)
    column[items] = np.arange(len(items))
    used = column[train.items] >= 0
    ones = np.ones(int(used.sum()))
    sets = sp.csr_matrix((ones, (column[train.items[used]], session[used])), (len(items), len(train)))
    sets.data[:] = 1  # an item is in a session or not
    sizes = np.asarray(sets.sum(axis=1)).ravel()
    unit = sp.csr_array(sp.diags_array(1 / np.sqrt(np.maximum(sizes, 1))) @ sets)
    rows = np.full(lists.shape, -1)
    rows[lists >= 0] = local
    values = []
    for part in np.array_split(rows, -(-rows.size // BLOCK_ITEMS)):
        block_items = np.unique(part[part >= 0])
        cosines = (unit[block_items] @ unit[block_items].T).toarray()
        for row in part:
            at = np.searchsorted(block_items, row[row >= 0])
            block = cosines[np.ix_(at, at)]
            pairs = len(at) * (len(at) - 1)
            values.append(1 - (block.sum() - np.trace(block)) / pairs)
    return float(np.mean(values))
