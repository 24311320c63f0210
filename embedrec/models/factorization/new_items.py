"""New items of matrix factorisation against vectors that stay: least squares, given the vectors of their sessions.

The sessions do not know what old items would learn from them, and few mentions leave noise: half of the direction of a
new vector is that of the items beside it, see `context_smoothing` and `scripts/bench/refresh_frozen.py`.
"""

from __future__ import annotations

import numpy as np

from embedrec.models.array_packing import locked
from embedrec.models.base import Arrays
from embedrec.models.context_smoothing import MOST_BESIDE, add_means, mean_contexts
from embedrec.models.factorization.least_squares import Cells, Objective, cells, fold_in, solve_rows
from embedrec.models.factorization.settings import FactorisationSettings
from embedrec.models.frozen import NewItems
from embedrec.models.session_encoders import Encoder
from embedrec.progress import Report
from embedrec.vectors.procrustes import compose

_ROUNDS = 2  # in the first one, the vectors of sessions do not know the new items
SAMPLED_SESSIONS = 20_000  # whose vectors represent all sessions in the term of unobserved pairs


def solve_new_items(recipe: FactorisationSettings, items: NewItems, *, seed: int, report: Report) -> Arrays:
    """The arrays of the extended model of loss=als, see `FrozenRecipe`.

    seed  of the sample of sessions

    The objective of the training, with fixed vectors of old items: sessions are solved given the items, then the new
    items given the sessions. The norms are those of the solution, the directions its sum with the mean contexts.
    """
    vectors = items.extended("items")
    if items.new.any():
        _solve(recipe, items, vectors, seed, report)
    _, axes = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors)
    return {**items.arrays, "items": vectors, "axes": compose(axes[:, ::-1], np.eye(len(axes)))}


def _solve(recipe: FactorisationSettings, items: NewItems, vectors: np.ndarray, seed: int, report: Report) -> None:
    """Replace the vectors (n, d) of new items."""
    from embedrec.kernels.row_blas import padded

    new, count = np.flatnonzero(items.new), len(items.sessions)
    objective = recipe.objective(float(items.arrays["unobserved"][0]))
    theirs = items.their_sessions
    mentions = Cells.of(cells(theirs, recipe.plays).T.tocsr()[new], objective, count)  # m rows, s columns
    chosen = np.sort(np.random.default_rng(seed).permutation(count)[:SAMPLED_SESSIONS])
    others = _encoder(recipe, objective, vectors)(items.sessions.take(chosen)).astype(np.float64)  # (q, d)
    diagonal, axes = np.linalg.eigh(count / max(len(chosen), 1) * (others.T @ others))
    d, axes = len(axes), axes.astype(np.float32)
    for done in range(_ROUNDS):
        fixed = padded(_encoder(recipe, objective, vectors)(theirs) @ axes, len(theirs))  # (s, w)
        unobserved = np.zeros(fixed.shape[1], dtype=np.float32)
        unobserved[:d] = objective.unobserved * np.maximum(diagonal, 0)
        vectors[new] = solve_rows(mentions, locked(fixed), unobserved)[:, :d] @ axes.T
        report("progress", done=done + 1, total=_ROUNDS, unit="rounds")
    solution, contexts = vectors[new], mean_contexts(theirs, vectors, MOST_BESIDE).mean[new]
    vectors[new] = add_means(solution, contexts, np.linalg.norm(solution, axis=1), 1.0)


def _encoder(recipe: FactorisationSettings, objective: Objective, vectors: np.ndarray) -> Encoder:
    """Sessions as in the training, given the items: the events of a session weigh the same."""
    _, axes = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors)
    return fold_in(vectors, objective, recipe.plays, axes=axes.astype(np.float32))
