"""Weighted least squares: session vectors from item vectors, and item vectors from session vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.models.array_packing import locked
from embedrec.models.session_encoders import Encoder, Weights

if TYPE_CHECKING:
    import scipy.sparse as sp

T = TypeVar("T")
Plays = Literal["each", "once", "log"]

BLOCK_ROWS = 8192  # rows of a block; its Gram matrix is float32, sums of blocks are float64
TASK_CELLS = 1 << 15  # cells of one task of a thread
_TOLERANCE = 1e-6  # of the gradient of a solved system, relative to that at zero
_MAX_STEPS = 1000  # more steps than any system needs


@dataclass(frozen=True)
class Objective:
    """The objective, minimised over vectors x of rows and y of columns; cells are observed pairs with weights w.

    Σ_cells w·(1 − x·y)² + unobserved·Σ_all (x·y)² + Σ_rows ridge·|x|² + Σ_columns ridge·|y|²

    (Hu, Koren & Volinsky 2008, in the form of Rendle, Krichene, Zhang & Koren 2022)

    unobserved      weight of every pair of a row and a column
    regularisation  ridge of a row: regularisation · (its cells' weights + unobserved · columns) ** nu; so of a column
    nu              1: ridge grows with the row's weight in the other terms; 0: the same for all rows
    """

    unobserved: float
    regularisation: float
    nu: float

    def ridge(self, weights: np.ndarray, columns: int) -> np.ndarray:
        """The ridge of every row: (rows,) float32.

        weights  (rows,) float64 of the cells of each row, see `row_weights`
        columns  the number of columns of the matrix
        """
        total = weights + self.unobserved * columns
        return (self.regularisation * total**self.nu).astype(np.float32)


class Cells(NamedTuple):
    """The cells of r rows, row after row, and the ridge of each row.

    offsets  (r+1,) int64
    columns  (c,) int32
    weights  (c,) float32
    ridge    (r,) float32
    """

    offsets: np.ndarray
    columns: np.ndarray
    weights: np.ndarray
    ridge: np.ndarray

    @classmethod
    def of(cls, matrix: sp.csr_matrix, objective: Objective, columns: int | None = None) -> Cells:
        """The cells of a matrix, (r, c) CSR float32.

        columns  for the ridge, where those of the matrix are some of them; None for c
        """
        ridge = objective.ridge(row_weights(matrix), matrix.shape[1] if columns is None else columns)
        return cls(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32, copy=False), matrix.data, ridge)


def cells(sessions: Sessions, plays: Plays, decay: float = 1.0) -> sp.csr_matrix:
    """Weights of the items of sessions: (S, n) CSR float32.

    plays  "each" play of an item weighs 1; "once", all of them 1; "log", 1 + ln(plays)
    decay  weight of an event relative to the one after it; with "once" and "log", that of an item's last event
    """
    import scipy.sparse as sp

    weights = Weights(decay, plays=plays).of(sessions)  # (E,)
    shape = (len(sessions), len(sessions.vocab))
    matrix = sp.csr_matrix((weights, sessions.items.copy(), sessions.offsets.copy()), shape)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def row_weights(matrix: sp.csr_matrix) -> np.ndarray:
    """The sum of the weights of the cells of each row: (r,) float64."""
    from embedrec.kernels.cell_blocks import sum_rows

    # SciPy adds in float32, whatever the dtype
    sums: np.ndarray = sum_rows(matrix.indptr.astype(np.int64), matrix.data)
    return sums


class Side:
    """The rows of a matrix with their vectors: sessions, or, of the transposed matrix, items.

    matrix   cells and their weights, (r, c) CSR float32
    vectors  (r, d) float32 initial values; they are copied

    `axes` (d, d) float32 is the product of all rotations so far: initial vectors times it are in today's coordinates.
    """

    def __init__(self, objective: Objective, matrix: sp.csr_matrix, vectors: np.ndarray) -> None:
        from embedrec.kernels.row_blas import padded

        self.objective = objective
        self.dim = vectors.shape[1]
        self.vectors = padded(vectors, len(vectors))  # (r, w)
        self.axes = np.eye(self.dim, dtype=np.float32)
        self.cells = Cells.of(matrix, objective)

    def solve(self, other: Side, steps: int, pool: Executor) -> Iterator[tuple[int, np.ndarray]]:
        """Replace the vectors by the solution given the other side's; both are rotated into the other's principal axes.

        steps  of conjugate gradient for each row
        pool   its threads share the rows, each of which is solved by itself

        Yields the number of cells and the minima of each block of rows, see `kernels.als`.
        """
        values = self._rotate(other, steps, pool)
        diagonal = (self.objective.unobserved * values).astype(np.float32)
        fixed, offsets = locked(other.vectors), self.cells.offsets

        def part(first: int, last: int) -> tuple[int, np.ndarray]:
            minima = solve_cells(self.cells, fixed, diagonal, self.vectors, steps, first, last)
            return int(offsets[last] - offsets[first]), minima

        return _map_ranges(pool, part, self._blocks())

    def penalty(self) -> float:
        """Σ ridge·|x|² of all rows."""
        return penalty(self.vectors, self.cells.ridge)

    def principal(self, pool: Executor) -> np.ndarray:
        """The vectors in their own principal axes, (r, d): their Gram matrix is diagonal, descending."""
        _, axes = principal_axes(gram_blocks(self.vectors, pool), self.dim)
        rotate_rows(self.vectors, axes, self.cells.offsets, -1, pool)
        self.axes = self.axes @ axes[: self.dim, : self.dim]
        return self.vectors[:, : self.dim].copy()

    def _rotate(self, other: Side, steps: int, pool: Executor) -> np.ndarray:
        """Rotate both sides into the principal axes of the other; returns the diagonal (w,) of its Gram matrix."""
        values, axes = principal_axes(gram_blocks(other.vectors, pool), self.dim)
        for side, min_cells in ((other, -1), (self, steps)):  # rows with few cells are solved from zero
            rotate_rows(side.vectors, axes, side.cells.offsets, min_cells, pool)
            side.axes = side.axes @ axes[: self.dim, : self.dim]
        return values

    def _blocks(self) -> list[tuple[int, int]]:
        """Ranges of rows of about equal cost; a row costs as much as four cells."""
        offsets = self.cells.offsets
        cost = offsets + 4 * np.arange(len(offsets))
        cuts = np.searchsorted(cost, np.arange(0, cost[-1], TASK_CELLS))
        return list(pairwise(np.unique(np.append(cuts, len(offsets) - 1)).tolist()))


def fold_in(
    items: np.ndarray, objective: Objective, plays: Plays, decay: float = 1.0, axes: np.ndarray | None = None
) -> Encoder:
    """An encoder: the vector of a history minimises the objective with fixed item vectors.

    items  (n, d) float32
    plays, decay  weights of a history's items, see `cells`. An empty history has the zero vector
    axes   (d, d) float32, the principal axes of the items, in columns; None if these are the coordinates
    """
    from embedrec.kernels.row_blas import LANES, padded

    n, d = items.shape
    items = items if axes is None else items @ axes
    fixed = locked(padded(items, n) if d % LANES else items)  # (n, w)
    diagonal = (objective.unobserved * np.einsum("ij,ij->j", fixed, fixed, dtype=np.float64)).astype(np.float32)

    def encode(histories: Sessions) -> np.ndarray:
        matrix = cells(histories, plays, decay)
        vectors = solve_rows(Cells.of(matrix, objective), fixed, diagonal)[:, :d]
        return vectors.copy() if axes is None else vectors @ axes.T

    return encode


def solve_rows(cells: Cells, fixed: np.ndarray, diagonal: np.ndarray) -> np.ndarray:
    """The vectors (r, w) of the rows of c columns, given those of the columns; exact, see `kernels.als`.

    fixed     (c, w) float32 vectors of the columns, padded and read-only, in the axes of the diagonal
    diagonal  (w,) float32: the Gram matrix of all columns, times the weight of an unobserved pair
    """
    from embedrec.kernels.row_blas import padded

    rows = len(cells.ridge)
    vectors = padded(np.zeros((rows, fixed.shape[1]), dtype=np.float32), rows)
    solve_cells(cells, fixed, diagonal, vectors, _MAX_STEPS, 0, rows)
    return vectors


def solve_cells(
    cells: Cells, fixed: np.ndarray, diagonal: np.ndarray, vectors: np.ndarray, steps: int, first: int, last: int
) -> np.ndarray:
    """Solve the rows first … last − 1 of the vectors (r, w), in place; the minimum of each row, see `kernels.als`."""
    from embedrec.kernels.als import solve

    minima: np.ndarray = solve(*cells, fixed, diagonal, vectors, steps, _TOLERANCE, first, last)
    return minima


def penalty(vectors: np.ndarray, ridge: np.ndarray) -> float:
    """Σ ridge·|x|² of all vectors (r, w)."""
    squares = np.einsum("ij,ij->i", vectors, vectors)
    return float(squares.astype(np.float64) @ ridge)


def gram_blocks(vectors: np.ndarray, pool: Executor) -> Iterator[np.ndarray]:
    """The Gram matrix (w, w) float32 of each `BLOCK_ROWS` of the vectors (r, w), in order."""
    from embedrec.kernels.als import gram

    return _map_ranges(pool, lambda first, last: gram(vectors, first, last), _ranges(len(vectors)))


def principal_axes(blocks: Iterable[np.ndarray], d: int) -> tuple[np.ndarray, np.ndarray]:
    """The sum of Gram matrices (w ≥ d, w), zero beyond d: its eigenvalues (w,) float64, descending, and axes (w, w).

    Blocks are added in their order, which the last digits depend on.
    """
    total: np.ndarray = sum((block.astype(np.float64) for block in blocks), np.zeros(()))
    eigenvalues, eigenvectors = np.linalg.eigh(total[:d, :d])
    values, axes = np.zeros(len(total)), np.zeros(total.shape, dtype=np.float32)
    values[:d], axes[:d, :d] = np.maximum(eigenvalues[::-1], 0), eigenvectors[:, ::-1]
    return values, axes


def rotate_rows(vectors: np.ndarray, axes: np.ndarray, offsets: np.ndarray, min_cells: int, pool: Executor) -> None:
    """Rotate the vectors (r, w) of the rows that have more than `min_cells` cells, see `kernels.als`, in place."""
    from embedrec.kernels.als import rotate

    list(
        _map_ranges(
            pool, lambda first, last: rotate(vectors, axes, offsets, min_cells, first, last), _ranges(len(vectors))
        )
    )


def _ranges(rows: int) -> list[tuple[int, int]]:
    return [(start, min(start + BLOCK_ROWS, rows)) for start in range(0, rows, BLOCK_ROWS)]


def _map_ranges(pool: Executor, work: Callable[..., T], ranges: list[tuple[int, int]]) -> Iterator[T]:
    """work(first, last) of each range, in order."""
    return pool.map(lambda rows: work(*rows), ranges)
