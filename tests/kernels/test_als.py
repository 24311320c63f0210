"""The kernels of ALS against what NumPy says in double precision."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels.als import gram, rotate, solve
from embedrec.kernels.row_blas import padded
from tests.conftest import read_only


def vectors(n: int, d: int, seed: int, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, (n, d)).astype(np.float32)


@pytest.mark.parametrize("n", [0, 1, 3, 4, 7, 50])
def test_gram_equals_the_matrix_product(n: int) -> None:
    x = vectors(n, 16, 0)
    np.testing.assert_allclose(gram(x, 0, n), x.T @ x, rtol=1e-5, atol=1e-5)
    if n > 2:
        np.testing.assert_allclose(gram(x, 1, n - 1), x[1:-1].T @ x[1:-1], rtol=1e-5, atol=1e-5)


def test_rotation_skips_rows_with_few_cells() -> None:
    x, axes = vectors(6, 32, 0), vectors(32, 32, 1)
    offsets = np.array([0, 0, 1, 3, 6, 10, 11])  # 0, 1, 2, 3, 4 and 1 cells
    turned = x.copy()
    rotate(turned, axes, offsets, 2, 0, 5)
    expected = x.copy()
    expected[[3, 4]] = x[[3, 4]] @ axes
    np.testing.assert_allclose(turned, expected, rtol=1e-5, atol=1e-5)
    assert (turned[[0, 1, 2, 5]] == x[[0, 1, 2, 5]]).all()
    rotate(turned, axes, offsets, -1, 5, 6)
    np.testing.assert_allclose(turned[5], x[5] @ axes, rtol=1e-5, atol=1e-5)


class Problem:
    """Some rows with cells; the fixed vectors in their principal axes."""

    def __init__(self, seed: int, rows: int = 7, n: int = 30, d: int = 13, unobserved: float = 0.1) -> None:
        rng = np.random.default_rng(seed)
        y = rng.normal(0, 0.7, (n, d)) * np.exp(rng.normal(0, 1, d))
        _, axes = np.linalg.eigh(y.T @ y)
        self.fixed = padded((y @ axes).astype(np.float32), n)
        self.unobserved = unobserved
        self.spread = (unobserved * (self.fixed.astype(np.float64) ** 2).sum(axis=0)).astype(np.float32)
        lengths = rng.integers(0, n, rows)
        lengths[:2] = 0, 1
        self.offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        held = [np.sort(rng.permutation(n)[:length]) for length in lengths]
        self.columns = np.concatenate(held).astype(np.int32)
        self.weights = rng.uniform(0.1, 5, len(self.columns)).astype(np.float32)
        self.ridge = rng.uniform(0.01, 3, rows).astype(np.float32)

    def solved(self, steps: int, blocks: list[tuple[int, int]] | None = None) -> tuple[np.ndarray, np.ndarray]:
        x = padded(vectors(len(self.ridge), 16, 9), len(self.ridge))
        cells = (self.offsets, self.columns, self.weights, self.ridge)
        parts = [
            solve(*cells, read_only(self.fixed), self.spread, x, steps, 1e-6, first, last)
            for first, last in blocks or [(0, len(self.ridge))]
        ]
        return x, np.concatenate(parts)

    def system(self, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A (w, w), b (w,) of A x = b, and the weights of the cells."""
        cells = slice(self.offsets[row], self.offsets[row + 1])
        f, w = self.fixed.astype(np.float64), self.weights[cells].astype(np.float64)
        held = f[self.columns[cells]]
        ridge = self.ridge[row] * np.eye(f.shape[1])
        return self.unobserved * f.T @ f + ridge + (held * w[:, None]).T @ held, w @ held, w

    def value(self, row: int, x: np.ndarray) -> float:
        """The row's part of the objective at x, pair by pair."""
        cells = dict(
            zip(self.columns[self.offsets[row] : self.offsets[row + 1]].tolist(), self.system(row)[2], strict=True)
        )
        total = float(self.ridge[row] * (x @ x))
        for j, f in enumerate(self.fixed.astype(np.float64)):
            total += self.unobserved * (x @ f) ** 2 + cells.get(j, 0.0) * (1 - x @ f) ** 2
        return total


@given(st.integers(0, 10**6), st.sampled_from([0.001, 0.1, 10.0]))
def test_many_steps_reach_the_exact_solution(seed: int, unobserved: float) -> None:
    problem = Problem(seed, unobserved=unobserved)
    x, minima = problem.solved(1000)
    for row in range(len(x)):
        a, b, _ = problem.system(row)
        np.testing.assert_allclose(x[row], np.linalg.solve(a, b), rtol=2e-3, atol=2e-4)
        assert minima[row] == pytest.approx(problem.value(row, x[row].astype(np.float64)), rel=1e-4, abs=1e-4)
    assert not x[0].any() and minima[0] == 0


def test_steps_from_zero_reach_the_solution_within_the_number_of_cells() -> None:
    problem = Problem(4, rows=40)
    for steps in (1, 3, 8):
        x, _ = problem.solved(steps)
        few = np.flatnonzero(np.diff(problem.offsets) <= steps)
        assert len(few) > 2
        for row in few:
            np.testing.assert_allclose(x[row], np.linalg.solve(*problem.system(row)[:2]), rtol=1e-3, atol=1e-4)


def test_each_step_lowers_the_objective() -> None:
    problem = Problem(1, rows=20)
    row = int(np.diff(problem.offsets).argmax())
    best = problem.value(row, np.linalg.solve(*problem.system(row)[:2]))
    above = [problem.solved(steps)[1][row] - best for steps in (1, 2, 4, 8)]
    assert above == sorted(above, reverse=True) and above[0] > 100 * abs(above[-1])


def test_blocks_of_rows_give_identical_bits() -> None:
    problem = Problem(2, rows=30)
    whole, minima = problem.solved(3)
    for cuts in ([0, 30], [0, 1, 17, 30], list(range(31))):
        x, result = problem.solved(3, list(pairwise(cuts)))
        assert x.tobytes() == whole.tobytes() and result.tobytes() == minima.tobytes()


def test_zero_vectors_stay_zero() -> None:
    problem = Problem(3)
    problem.fixed[:] = 0
    problem.spread[:] = 0
    x, minima = problem.solved(3)
    assert np.isfinite(x).all() and np.isfinite(minima).all()
    assert np.abs(problem.solved(1000)[0]).max() < 1e-6
