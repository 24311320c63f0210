"""Softmax over sampled candidates and its gradient, one row of scores at a time, which stays in the L1 cache."""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.sampled_losses import exp

_F = np.float32
_LEAST = _F(-3e38)
_LOOSE = {"reassoc", "contract", "nsz", "arcp"}  # sums in any order; infinity and NaN keep their meaning


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=_LOOSE)
def softmax(scores, column, logs, own, top, losses):  # type: ignore[no-untyped-def]
    """See `transformer.losses.softmax`; scores (b, u) float32 are replaced by their gradient.

    column  (b,) int64
    logs    (u,) float32
    own     (b,) float32
    top     number of negatives that count
    losses  (b,) float32, written
    """
    u = scores.shape[1]
    for i in range(scores.shape[0]):
        r, c = scores[i], column[i]
        right = r[c] + own[i]
        for j in range(u):
            r[j] += logs[j]
        if top < u - 1:
            r[c] = _LEAST
            least = np.partition(r, u - top)[u - top]
            for j in range(u):
                r[j] = r[j] if r[j] >= least else _LEAST
        r[c] = right
        highest = _LEAST
        for j in range(u):
            highest = max(highest, r[j])
        total = _F(0)
        for j in range(u):
            e = exp(r[j] - highest) if r[j] > _LEAST else _F(0)
            r[j] = e
            total += e
        losses[i] = highest + np.log(total) - right
        one = _F(1) / total
        for j in range(u):
            r[j] *= one
        r[c] -= _F(1)
