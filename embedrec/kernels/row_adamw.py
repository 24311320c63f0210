"""A step of Adam for some rows of a table, in one pass over them."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True, error_model="numpy")
def step_rows(weights, means, squares, rows, gradient, rate, first, second, eps):  # type: ignore[no-untyped-def]
    """See `training.row_adamw.RowAdamW`; tables (n, d) float32 are written.

    rows, gradient  (r,) int64, each once, and (r, d) float32
    first, second   how much of the means of gradients and of their squares is kept
    eps             of the root of the mean square
    """
    rate, eps = np.float32(rate), np.float32(eps)
    kept, rest, kept2, told2 = np.float32(first), np.float32(1 - first), np.float32(second), np.float32(1 - second)
    d = weights.shape[1]
    for i in range(rows.shape[0]):
        row = rows[i]
        w, m, v, g = weights[row], means[row], squares[row], gradient[i]
        for k in range(d):
            m[k] = kept * m[k] + rest * g[k]
            v[k] = kept2 * v[k] + told2 * g[k] * g[k]
            w[k] -= rate * m[k] / (np.sqrt(v[k]) + eps)
