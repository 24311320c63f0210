"""Matrix factorisation by alternating least squares, for implicit feedback.

Hu, Koren & Volinsky 2008 (implicit feedback: unobserved pairs get a small weight); Takács, Pilászy & Tikk 2011 (a few
steps of conjugate gradient instead of exact solutions); Rendle, Krichene, Zhang & Koren 2022 ("iALS revisited": the
regularisation that grows with frequency, and the scale of initial vectors).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.models.factorization.least_squares import Objective, Side, cells
from embedrec.models.vectors_of_ids import vectors_of_ids
from embedrec.progress import Report
from embedrec.vectors.procrustes import compose, rotate

if TYPE_CHECKING:
    from embedrec.data.vocab import Vocab
    from embedrec.models.factorization.settings import FactorisationSettings
    from embedrec.models.warm_start import TrainingStart


def train(
    recipe: FactorisationSettings,
    sessions: Sessions,
    continued: TrainingStart | None = None,
    *,
    seed: int,
    threads: int,
    report: Report,
) -> dict[str, np.ndarray]:
    """The arrays "items" (n, dim), "axes" (dim, dim), "unobserved" (1,), the weight of one pair, and "seed" (1,); see
    `MatrixFactorisation.from_arrays`.

    continued  a model whose item vectors are the initial ones

    Items are in the coordinates of the initial vectors. Those of a training from scratch depend on ids and seed only,
    so that trainings on the sessions of two days have nearly the same vectors. Results do not depend on the number of
    threads.
    """
    observed = cells(sessions, recipe.plays)  # (S, n)
    (count, n), d, epochs = observed.shape, recipe.dim, recipe.value("epochs")
    objective = weighted_objective(recipe, float(observed.data.sum(dtype=np.float64)), count, n)
    start = initial_vectors(recipe, sessions.vocab, seed)
    if continued is not None:
        start = continued.vectors(start, sessions.vocab, continued.arrays["items"])
    rows = Side(objective, observed, np.zeros((count, d), dtype=np.float32))
    items = Side(objective, observed.T.tocsr(), start)
    done, total = 0, 2 * epochs * observed.nnz
    with ThreadPoolExecutor(threads) as pool:
        for epoch in range(1, epochs + 1):
            started = perf_counter()
            for side, other in ((rows, items), (items, rows)):
                loss = 0.0  # of all but the other side's penalty
                for solved, minima in side.solve(other, recipe.steps, pool):
                    loss += float(minima.sum())
                    done += solved
                    report("progress", done=done, total=total, unit="cells")
            loss += rows.penalty()
            report("epoch", epoch=epoch, epochs=epochs, loss=loss, seconds=perf_counter() - started)
        principal = items.principal(pool)
    return model_arrays(principal, items.axes, objective, seed)


def weighted_objective(recipe: FactorisationSettings, weight: float, count: int, n: int) -> Objective:
    """The objective for `count` sessions of n items; `weight` is that of all cells."""
    return recipe.objective(recipe.unobserved * weight / (count * n))


def initial_vectors(recipe: FactorisationSettings, vocab: Vocab, seed: int) -> np.ndarray:
    """The vectors (n, dim) float32 of the items that a training from scratch starts with."""
    return vectors_of_ids(vocab.ids, recipe.dim, recipe.value("deviation") / recipe.dim**0.5, seed)


def model_arrays(principal: np.ndarray, axes: np.ndarray, objective: Objective, seed: int) -> dict[str, np.ndarray]:
    """The arrays of `train`.

    principal  (n, dim) float32 trained vectors, in their principal axes
    axes       (dim, dim) float32 product of all rotations since the initial vectors, see `Side`
    """
    axes = compose(axes, np.eye(len(axes)))
    arrays = {"items": rotate(principal, axes.T), "axes": axes, "unobserved": np.array([objective.unobserved])}
    return {**arrays, "seed": np.array([seed], dtype=np.int64)}
