"""New items of spectral embeddings against vectors that stay: rows of the matrix, projected onto the eigenvectors.

Nyström's extension of eigenvectors (Williams & Seeger 2001).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embedrec.models.base import Arrays
from embedrec.models.frozen import NewItems
from embedrec.models.pair_counts import PairCounting, PairCountRecipe, one_mention
from embedrec.progress import Report

_ROUNDS = 2  # the second one also counts pairs of two new items
_LEAST = 1e-12  # eigenvalues below this share of the largest one are zero


def solve_new_items(
    recipe: PairCountRecipe[Any], items: NewItems, power: float, *, threads: int, report: Report
) -> Arrays:
    """The arrays of the extended model, see `FrozenRecipe`.

    With vectors V·Λ^p of orthonormal V, the row m of the matrix for a new item has the vector m·V·Λ^(p − 1), which is
    m·(V·Λ^p)·G^(−1/2p), G the Gram matrix of the vectors.

    power  p, above 0
    """
    import scipy.sparse as sp

    vectors, whole = items.extended("items"), np.asarray(items.arrays["items"], dtype=np.float64)
    count = int(items.new.sum())
    if not count:
        return {**items.arrays, "items": vectors}
    order = np.argsort(~items.new, kind="stable")  # (n,) rows of the result, new items first
    mentions, formula = recipe.pair_formula(one_mention(items.sessions, order, recipe.window))
    pairs = PairCounting(mentions, formula, threads, report).all_pairs(count)
    lengths = pairs.ends - pairs.starts
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    places = np.repeat(pairs.starts, lengths) + within
    entries = np.repeat(np.arange(count), lengths), pairs.rows[places]
    matrix = sp.csr_matrix((pairs.values[places], entries), (count, len(order)))
    both = matrix[:, :count]
    matrix = sp.hstack([both + both.T, matrix[:, count:]], format="csr")
    values, axes = np.linalg.eigh(whole.T @ whole)
    positive = values > _LEAST * values.max()
    powers = np.where(positive, np.where(positive, values, 1) ** (-0.5 / power), 0)
    scale = ((axes * powers) @ axes.T).astype(np.float32)
    for _ in range(_ROUNDS):
        vectors[order[:count]] = (matrix @ vectors[order]) @ scale
    return {**items.arrays, "items": vectors}
