"""Warm starts of ALS: items change by their new cells, at a cost that follows these.

After training, the vector y of an item solves A·y = b with A = α0·Σ x·xᵀ + Σ w·x·xᵀ + ridge and b = Σ w·x: sums over
all sessions x, and over its cells (Hu, Koren & Volinsky 2008). New sessions, folded in, add their terms to A and b, as
in recursive least squares. The sums over old sessions are not kept: those over a sample stand for them, and the mean
x·xᵀ of a sampled cell, times the weight of the item's old cells, for the sum over its cells. A new item has no old
part, and is solved as in training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embedrec.data.replay import replayed_rows
from embedrec.data.session_changes import SessionChanges
from embedrec.data.sessions import Sessions
from embedrec.models.array_packing import locked
from embedrec.models.factorization.least_squares import Objective, cells, fold_in, solve_rows
from embedrec.models.vector_model import VectorModel

if TYPE_CHECKING:
    import scipy.sparse as sp

    from embedrec.models.factorization.settings import FactorisationSettings

_PASSES = 2  # over the new cells: sessions fold in new items only when these have vectors
_LEAST = 1000  # sampled sessions, for the sums over all
_STEPS = 5  # of conjugate gradient


def update_als(
    recipe: FactorisationSettings, sessions: Sessions, init: VectorModel, changes: SessionChanges, *, seed: int
) -> dict[str, np.ndarray]:
    """The arrays of `MatrixFactorisation.from_arrays`, in the coordinates of `init`.

    sessions  all of them, of the items of the new model
    changes   from the sessions of `init` to these
    """
    vocab, count = sessions.vocab, len(sessions)
    rows = init.vocab.rows_of(vocab.ids)  # (n,) −1 for new items
    items = np.where(rows[:, None] >= 0, init.arrays["items"][rows], np.float32(0))
    new = rows < 0
    with_new = np.unique(sessions.session_of[new[sessions.items]])
    sample = np.union1d(replayed_rows(changes, recipe.replay, seed=seed, least=_LEAST), with_new)
    sample = np.setdiff1d(sample, changes.added)
    chosen = sessions.take(np.concatenate([changes.added, sample]))  # (s,)
    matrix = cells(chosen, recipe.plays)
    weight = float(matrix.data.sum(dtype=np.float64)) / max(len(chosen.items), 1)  # of an event
    unobserved = recipe.unobserved * weight * len(sessions.items) / (count * len(vocab))
    objective = recipe.objective(unobserved)
    mentions = weight * np.bincount(sessions.items, minlength=len(vocab))
    start = items.copy()
    changed = np.bincount(matrix[: len(changes.added)].indices, minlength=len(vocab)) > 0
    grown = np.flatnonzero(changed & ~new)
    for _ in range(_PASSES):
        encode = fold_in(items, objective, recipe.plays, axes=principal_axes(items))
        queries = _Queries(objective, count, encode(chosen), matrix)
        items[grown] = queries.add_cells(start, grown, len(changes.added), mentions)
        items[new] = queries.solve(np.flatnonzero(new))
    return {"items": items, "axes": principal_axes(items), "unobserved": np.array([unobserved])}


def principal_axes(vectors: np.ndarray) -> np.ndarray:
    """The principal axes (d, d) float32 of vectors (n, d), in columns, descending."""
    return np.linalg.eigh((vectors.T @ vectors).astype(np.float64))[1][:, ::-1].astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Queries:
    """Vectors of sampled sessions, for which items are solved.

    count    S, the number of all sessions
    vectors  (s, d) float32
    matrix   their cells, (s, n) CSR float32
    """

    objective: Objective
    count: int
    vectors: np.ndarray
    matrix: sp.csr_matrix

    @property
    def gram(self) -> np.ndarray:
        """The estimate of the sum of x·xᵀ over all sessions: (d, d)."""
        return (self.vectors.T @ self.vectors) * np.float32(self.count / len(self.vectors))

    def solve(self, items: np.ndarray) -> np.ndarray:
        """The vectors (m, d) of items (m,) all of whose cells are among those of the sample."""
        from embedrec.kernels.row_blas import padded

        axes = principal_axes(self.vectors)
        fixed = locked(padded(self.vectors @ axes, len(self.vectors)))
        values = np.einsum("ij,ij->j", fixed, fixed, dtype=np.float64) * self.count / len(fixed)
        columns = self.matrix[:, items].T.tocsr()
        own = np.asarray(columns.sum(axis=1), dtype=np.float64).ravel()
        diagonal = (self.objective.unobserved * values).astype(np.float32)
        return np.asarray(solve_rows(columns, self.ridge(own, self.count), fixed, diagonal)[:, : len(axes)] @ axes.T)

    def ridge(self, weights: np.ndarray, sessions: int) -> np.ndarray:
        """The ridge (m,) float32 of items with cells of these weights (m,) among so many sessions."""
        objective = self.objective
        total = weights + objective.unobserved * sessions
        return np.asarray((objective.regularisation * total**objective.nu).astype(np.float32))

    def add_cells(self, vectors: np.ndarray, items: np.ndarray, added: int, mentions: np.ndarray) -> np.ndarray:
        """Vectors (m, d) of items (m,) after the cells of the first `added` sessions are added to their equations.

        vectors   (n, d) solutions without them
        mentions  (n,) weights of all cells of each item, with them
        """
        x, a0 = self.vectors[:added], np.float32(self.objective.unobserved)
        part = self.matrix[:added][:, items].T.tocsr()  # (m, a)
        row = np.repeat(np.arange(len(items)), np.diff(part.indptr))
        own = np.asarray(part.sum(axis=1), dtype=np.float64).ravel()
        y = vectors[items]
        per_cell = np.asarray(self.matrix.sum(axis=1), dtype=np.float32).ravel()  # weight of each session's cells
        mean = (self.vectors.T * per_cell) @ self.vectors / max(float(per_cell.sum()), 1e-9)
        before = np.maximum(mentions[items] - own, 0).astype(np.float32)
        ridge = self.ridge(before + own, self.count)
        grown = ridge - self.ridge(before, self.count - added)
        gram = a0 * self.gram

        def of_cells(factors: np.ndarray) -> np.ndarray:
            """Σ factor·x over the cells of each item; factors (c,) of the cells."""
            weighted = part.copy()
            weighted.data = factors.astype(np.float32)
            return np.asarray(weighted @ x)

        def times(z: np.ndarray) -> np.ndarray:
            """The left side of the equations for z (m, d)."""
            known = z @ gram + before[:, None] * (z @ mean) + ridge[:, None] * z
            return known + of_cells(part.data * np.einsum("ij,ij->i", z[row], x[part.indices]))

        missing = part.data * (1 - np.einsum("ij,ij->i", y[row], x[part.indices]))
        right = of_cells(missing) - a0 * (y @ (x.T @ x)) - grown[:, None] * y
        scale = np.diag(gram)[None] + (before + own.astype(np.float32))[:, None] * np.diag(mean)[None] + ridge[:, None]
        return y + conjugate_gradient(times, right, scale)


def conjugate_gradient(times: Callable[[np.ndarray], np.ndarray], right: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Approximate solutions z (m, d) of times(z) = right, each row for itself; preconditioned by 1 / scale (m, d)."""
    z, residual = np.zeros_like(right), right.copy()
    step = residual / scale
    direction, current = step, np.einsum("ij,ij->i", residual, step)
    for _ in range(_STEPS):
        image = times(direction)
        size = current / np.maximum(np.einsum("ij,ij->i", direction, image), 1e-30)
        z += size[:, None] * direction
        residual -= size[:, None] * image
        step = residual / scale
        previous, current = current, np.einsum("ij,ij->i", residual, step)
        direction = step + (current / np.maximum(previous, 1e-30))[:, None] * direction
    return z
