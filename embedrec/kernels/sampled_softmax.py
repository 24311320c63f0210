"""Softmax over sampled candidates and its gradient, one row of scores at a time, which stays in the L1 cache."""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.sampled_losses import LEAST, LOOSE, softmax_loss


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=LOOSE)
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
            r[c] = LEAST
            least = np.partition(r, u - top)[u - top]
            for j in range(u):
                r[j] = r[j] if r[j] >= least else LEAST
        r[c] = right
        losses[i] = softmax_loss(r, c, right)
