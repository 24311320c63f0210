"""The compiled softmax over sampled candidates against NumPy in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.kernels.sampled_softmax import softmax


@pytest.mark.parametrize("top", [1, 3, 99])
@pytest.mark.parametrize(("b", "u"), [(0, 3), (1, 1), (4, 2), (7, 33)])
def test_against_double_precision(b: int, u: int, top: int) -> None:
    rng = np.random.default_rng(u)
    scores, column = rng.normal(0, 3, (b, u)).astype(np.float32), rng.integers(0, u, b)
    logs, own = rng.normal(size=u).astype(np.float32), rng.normal(size=b).astype(np.float32)
    exact, losses = scores.astype(np.float64), np.empty(b, dtype=np.float32)
    softmax(scores, column, logs, own, top, losses)
    for i, target in enumerate(column):
        logits = exact[i] + logs
        logits[target] = -np.inf
        logits[np.argsort(-logits)[top:]] = -np.inf
        logits[target] = exact[i, target] + own[i]
        shares = np.exp(logits) / np.exp(logits).sum()
        assert losses[i] == pytest.approx(-np.log(shares[target]), rel=1e-5, abs=1e-5)
        np.testing.assert_allclose(scores[i], shares - np.eye(u)[target], atol=1e-6)


def test_no_candidate_but_the_target() -> None:
    scores, losses = np.array([[1.0, 50.0]], dtype=np.float32), np.empty(1, dtype=np.float32)
    logs = np.array([-np.inf, -np.inf], dtype=np.float32)
    softmax(scores, np.array([0]), logs, np.zeros(1, dtype=np.float32), 9, losses)
    assert losses.tolist() == [0] and scores.tolist() == [[0, 0]]
