"""Losses over sampled items and their gradients, one row of scores at a time, which stays in the L1 cache."""

from __future__ import annotations

import numba
import numpy as np

_F = np.float32
_LOG2E, _LN2_HIGH, _LN2_LOW = _F(1.44269504), _F(0.693359375), _F(-2.12194440e-4)
_P = tuple(_F(p) for p in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5))
_P0, _P1, _P2, _P3, _P4, _P5 = _P
_ONE, _HALF, _LOWEST, _HIGHEST, LEAST = _F(1), _F(0.5), _F(-87), _F(80), _F(-3e38)


@numba.njit(nogil=True, cache=True, inline="always")
def exp(x):  # type: ignore[no-untyped-def]
    """exp(x) of float32 to 2 units in the last place, between exp(−87) and exp(80); vectorisable.

    x = k ln 2 + r, and exp(r) by the polynomial of the Cephes library (Moshier 1992).
    """
    x = min(max(x, _LOWEST), _HIGHEST)
    k = np.floor(x * _LOG2E + _HALF)
    r = x - k * _LN2_HIGH - k * _LN2_LOW
    p = ((((_P0 * r + _P1) * r + _P2) * r + _P3) * r + _P4) * r + _P5
    return (p * r * r + r + _ONE) * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)


LOOSE = {"reassoc", "contract", "nsz", "arcp"}  # sums in any order; infinity and NaN keep their meaning


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=LOOSE, inline="always")
def softmax_loss(r, own, right):  # type: ignore[no-untyped-def]
    """The cross-entropy of scores r (u,) float32, which are replaced by its gradient; LEAST is left out.

    own    the target's column
    right  its score
    """
    top = LEAST
    for j in range(r.shape[0]):
        top = max(top, r[j])
    total = _F(0)
    for j in range(r.shape[0]):
        e = exp(r[j] - top) if r[j] > LEAST else _F(0)
        r[j] = e
        total += e
    one = _ONE / total
    for j in range(r.shape[0]):
        r[j] *= one
    r[own] -= _ONE
    return top + np.log(total) - right


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=LOOSE)
def cross_entropy(scores, column, logs, own, losses):  # type: ignore[no-untyped-def]
    """See `gru4rec_losses.cross_entropy`; scores (b, u) float32 are replaced by their gradient.

    column  (b,) int64
    logs    (u,) float32
    own     (b,) float32
    losses  (b,) float32, written
    """
    u = scores.shape[1]
    for i in range(scores.shape[0]):
        r = scores[i]
        right = r[column[i]] + own[i]
        for j in range(u):
            r[j] += logs[j]
        losses[i] = softmax_loss(r, column[i], right)


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=LOOSE)
def bpr_max(scores, column, weights, elu, bpreg, losses):  # type: ignore[no-untyped-def]
    """See `gru4rec_losses.bpr_max`; scores (b, u) float32 are replaced by their gradient.

    column   (b,) int64
    weights  (u,) float32
    losses   (b,) float32, written
    """
    u = scores.shape[1]
    elu, bpreg = _F(elu), _F(bpreg)
    share, win, left = np.empty(u, _F), np.empty(u, _F), weights.copy()
    tiny = _F(1e-24)
    for i in range(scores.shape[0]):
        r, own = scores[i], column[i]
        left[own] -= _ONE  # the target is not its own negative
        if elu > 0:
            for j in range(u):
                score = r[j]
                r[j] = score if score > 0 else elu * (exp(score) - _ONE)
        top = LEAST
        for j in range(u):
            top = max(top, r[j] if left[j] > 0 else LEAST)
        right = r[own]
        scale = exp(top - right)
        total, mean, squared, length = _F(0), _F(0), _F(0), _F(0)
        for j in range(u):
            e = exp(r[j] - top)
            s, w = e * left[j], _ONE / (_ONE + e * scale)  # w = σ(right − r)
            share[j], win[j] = s, w
            total += s
            mean += s * w
            squared += s * w * w
            length += s * r[j] * r[j]
        left[own] += _ONE
        if total == 0:  # no negatives
            losses[i] = 0
            r[:] = 0
            continue
        one = _ONE / total
        mean, squared, length = mean * one, squared * one, length * one
        inverse = _ONE / (mean + tiny)
        losses[i] = bpreg * length - np.log(mean + tiny)
        constant = mean * inverse - bpreg * length
        for j in range(u):
            x, w = r[j], win[j]
            slope = _ONE if x > 0 or elu == 0 else x + elu
            r[j] = share[j] * one * (bpreg * x * (x + _F(2)) + constant - w * w * inverse) * slope
        slope = _ONE if right > 0 or elu == 0 else right + elu
        r[own] -= (mean - squared) * inverse * slope
