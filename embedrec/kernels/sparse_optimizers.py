"""A step of Adagrad for some rows of a table, in one pass over them."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True, error_model="numpy")
def step_rows(weights, sums, velocity, rows, gradient, rate, momentum, eps, moving):  # type: ignore[no-untyped-def]
    """See `training.row_adagrad.RowAdagrad`; tables (n, d) float32 are written.

    rows, gradient  (r,) int64, each once, and (r, d) float32
    moving          whether there is a velocity
    """
    rate, momentum, eps = np.float32(rate), np.float32(momentum), np.float32(eps)
    d = weights.shape[1]
    for i in range(rows.shape[0]):
        row = rows[i]
        w, s, v, g = weights[row], sums[row], velocity[row], gradient[i]
        for k in range(d):
            s[k] += g[k] * g[k]
        if moving:
            for k in range(d):
                v[k] = momentum * v[k] - rate * g[k] / np.sqrt(s[k] + eps)
                w[k] += v[k]
        else:
            for k in range(d):
                w[k] -= rate * g[k] / np.sqrt(s[k] + eps)
