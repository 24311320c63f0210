"""Losses and derivatives over columns of scores, against NumPy in double precision.

The same losses against autograd are in `tests/models/gru4rec/test_losses.py`.
"""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.kernels.sampled_losses import bpr_max, cross_entropy


def problem(b: int, u: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 3, (b, u)).astype(np.float32), rng.integers(0, u, b)


@pytest.mark.parametrize(("b", "u"), [(0, 3), (1, 1), (4, 2), (7, 33)])
def test_cross_entropy_and_its_gradient_equal_numpy(b: int, u: int) -> None:
    scores, column = problem(b, u)
    rng = np.random.default_rng(1)
    logs, own = rng.normal(size=u).astype(np.float32), rng.normal(size=b).astype(np.float32)
    logits = scores.astype(np.float64) + logs
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = np.log(np.exp(logits).sum(axis=1)) - scores[np.arange(b), column].astype(np.float64) - own
    losses = np.empty(b, dtype=np.float32)
    cross_entropy(scores, column, logs, own, losses)
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(scores, shares - np.eye(u)[column], atol=1e-6)


def test_an_item_of_weight_zero_has_no_derivative() -> None:
    scores, losses = np.array([[1.0, 50.0]], dtype=np.float32), np.empty(1, dtype=np.float32)
    with np.errstate(divide="ignore"):
        logs = np.log(np.array([1.0, 0.0], dtype=np.float32))
    cross_entropy(scores, np.array([0]), logs, np.zeros(1, dtype=np.float32), losses)
    assert losses.tolist() == [0] and scores.tolist() == [[0, 0]]


def test_exponentials_are_exact_to_float32_and_never_infinite() -> None:
    """The share of the lower of two scores that are x apart is exp(−x) / (1 + exp(−x))."""
    x = np.concatenate([np.linspace(0, 86, 5001), [1e-8, 1000]]).astype(np.float32)
    scores, losses = np.stack([np.zeros_like(x), -x], axis=1), np.empty(len(x), dtype=np.float32)
    zeros = np.zeros(len(x), dtype=np.int64)
    cross_entropy(scores, zeros, np.zeros(2, np.float32), np.zeros(len(x), np.float32), losses)
    exact = np.exp(-np.minimum(x, 87).astype(np.float64))
    np.testing.assert_allclose(scores[:, 1], exact / (1 + exact), rtol=5e-7)
    assert np.isfinite(losses).all()


def slow_bpr_max(r: np.ndarray, own: int, weights: np.ndarray, elu: float, bpreg: float) -> float:
    x = np.where(r > 0, r, elu * (np.exp(r) - 1)) if elu else r
    left = weights.astype(np.float64).copy()
    left[own] -= 1
    if not left.any():
        return 0.0
    share = left * np.exp(x)
    share /= share.sum()
    won = (share / (1 + np.exp(x - x[own]))).sum()
    return float(-np.log(won + 1e-24) + bpreg * (share * x * x).sum())


@pytest.mark.parametrize(("elu", "bpreg"), [(0.0, 0.0), (1.0, 0.9), (0.5, 2.0)])
@pytest.mark.parametrize(("b", "u"), [(0, 3), (1, 1), (4, 2), (5, 12)])
def test_bpr_max_and_its_gradient_equal_numpy(b: int, u: int, elu: float, bpreg: float) -> None:
    scores, column = problem(b, u, seed=2)
    weights = np.random.default_rng(3).integers(0, 4, u).astype(np.float32)
    weights[column] += 1
    exact, h = scores.astype(np.float64), 1e-6
    losses, given_weights = np.empty(b, dtype=np.float32), weights.copy()
    bpr_max(scores, column, weights, elu, bpreg, losses)
    assert (weights == given_weights).all()
    for i, own in enumerate(column):
        assert losses[i] == pytest.approx(slow_bpr_max(exact[i], own, weights, elu, bpreg), rel=1e-4, abs=1e-5)
        for j in range(u):
            bump = h * np.eye(u)[j]
            up, down = (slow_bpr_max(exact[i] + side * bump, own, weights, elu, bpreg) for side in (1, -1))
            assert scores[i, j] == pytest.approx((up - down) / (2 * h), rel=1e-3, abs=1e-4)
