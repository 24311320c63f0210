"""Compiled attention of two sessions against NumPy in double precision, and its gradients against differences.

The same against autograd is in `tests/models/transformer/test_network.py`.
"""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.kernels.session_attention import attend, attend_backward

OFFSETS, T, D = np.array([0, 2, 5]), 5, 4
PAIRS = 3 + 6


def slow(joint: np.ndarray, values: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """(t, d) float64; a value of a session sees no other session and no later token."""
    heads, result = len(distances), np.zeros((T, D))
    width = D // heads
    for first, stop in ((0, 2), (2, 5)):
        for query in range(first, stop):
            for head in range(heads):
                part = slice(head * width, (head + 1) * width)
                keys = np.arange(first, query + 1)
                logits = joint[keys, D : 2 * D][:, part] @ joint[query, part] + distances[head, query - keys]
                shares = np.exp(logits - logits.max())
                result[query, part] = shares / shares.sum() @ values[keys, part]
    return result


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_results_and_gradients(heads: int) -> None:
    rng = np.random.default_rng(heads)
    joint, distances = rng.normal(size=(T, 3 * D)), rng.normal(size=(heads, 3))
    above, h = rng.normal(size=(T, D)), 1e-6
    single = [array.astype(np.float32) for array in (joint, distances, above)]
    shares, result = np.empty((heads, PAIRS), np.float32), np.empty((T, D), np.float32)
    attend(single[0], single[0], 2 * D, OFFSETS, single[1], shares, result)
    np.testing.assert_allclose(result, slow(joint, joint[:, 2 * D :], distances), rtol=1e-4, atol=1e-5)
    apart, values = np.empty((T, D), np.float32), np.ascontiguousarray(single[0][:, 2 * D :])
    attend(single[0][:, : 2 * D].copy(), values, 0, OFFSETS, single[1], shares, apart)
    np.testing.assert_array_equal(apart, result)
    d_joint, d_distances = np.zeros((T, 3 * D), np.float32), np.zeros((heads, 3), np.float32)
    attend_backward(single[0], single[0], 2 * D, OFFSETS, shares, single[2], d_joint, d_joint, d_distances)
    for array, gradient in ((joint, d_joint), (distances, d_distances)):
        for place in np.ndindex(array.shape):
            sides = []
            for step in (h, -h):
                array[place] += step
                sides.append((slow(joint, joint[:, 2 * D :], distances) * above).sum())
                array[place] -= step
            assert gradient[place] == pytest.approx((sides[0] - sides[1]) / (2 * h), rel=1e-3, abs=1e-4)
