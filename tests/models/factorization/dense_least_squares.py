"""Weighted least squares with a dense matrix of pairs, the slow reference of `least_squares`."""

from __future__ import annotations

import numpy as np

from embedrec.data import Sessions, Vocab
from embedrec.models.factorization.least_squares import Objective
from tests.conftest import of_lists

PLAYS = ("each", "once", "log")


def random_sessions(count: int = 40, n: int = 15, seed: int = 0) -> Sessions:
    """Random sessions with repeats; some are empty."""
    rng = np.random.default_rng(seed)
    lists = [rng.integers(0, n, rng.integers(0, 12)).tolist() for _ in range(count)]
    return of_lists([*lists, list(range(n))], Vocab(np.arange(n)))


def dense_cells(sessions: Sessions, plays: str) -> np.ndarray:
    counts = np.zeros((len(sessions), len(sessions.vocab)))
    for s in range(len(sessions)):
        for row in sessions[s]:
            counts[s, row] += 1
    held = counts > 0
    return {"each": counts, "once": held * 1.0, "log": np.where(held, 1 + np.log(np.where(held, counts, 1)), 0)}[plays]


def dense_ridge(objective: Objective, w: np.ndarray) -> np.ndarray:
    return objective.regularisation * (w.sum(axis=1) + objective.unobserved * w.shape[1]) ** objective.nu


def dense_solution(objective: Objective, w: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """The optimal vectors (r, d) of the rows, given those of the columns."""
    ridge = dense_ridge(objective, w)
    out = np.zeros((len(w), fixed.shape[1]))
    for r in range(len(w)):
        a = ridge[r] * np.eye(fixed.shape[1])
        for c, f in enumerate(fixed):
            a += (w[r, c] + objective.unobserved) * np.outer(f, f)
        out[r] = np.linalg.solve(a, w[r] @ fixed)
    return out


def dense_objective(objective: Objective, w: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    s = x @ y.T
    pairs = w * (1 - s) ** 2 + objective.unobserved * s**2
    return float(
        pairs.sum() + dense_ridge(objective, w) @ (x**2).sum(axis=1) + dense_ridge(objective, w.T) @ (y**2).sum(axis=1)
    )
