"""Causal attention within sessions and its gradient, over tokens without padding.

Sessions are short: a batch of 100 sessions has few products, which are cheaper in a loop than the padding, copies and
calls of batched matrix products.
"""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.sampled_losses import exp

_F = np.float32
_LEAST = _F(-3e38)
_LOOSE = {"reassoc", "contract", "nsz", "arcp"}  # sums in any order; infinity and NaN keep their meaning


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=_LOOSE)
def attend(joint, values, column, offsets, distances, shares, result):  # type: ignore[no-untyped-def]
    """Attention of every token to those of its session up to itself.

    joint      (t, ≥ 2d) float32: queries, which are scaled already, and keys of all heads
    values     (t, ≥ column + d): from `column`, the values of all heads
    offsets    (s + 1,) int64 of the sessions
    distances  (heads, m) float32 logits by distance, m at least the longest session
    shares     (heads, p) float32, written: the weights of the pairs of a query and a key, query by query
    result     (t, d), written
    """
    d, heads = result.shape[1], distances.shape[0]
    width = d // heads
    pair = 0
    for s in range(offsets.shape[0] - 1):
        first = offsets[s]
        for i in range(first, offsets[s + 1]):
            count = i - first + 1
            for h in range(heads):
                left, right = h * width, (h + 1) * width
                row, x, out = shares[h, pair : pair + count], joint[i, left:right], result[i, left:right]
                highest = _LEAST
                for j in range(count):
                    y, dot = joint[first + j, d + left : d + right], _F(0)
                    for c in range(width):
                        dot += x[c] * y[c]
                    row[j] = dot + distances[h, count - 1 - j]
                    highest = max(highest, row[j])
                total = _F(0)
                for j in range(count):
                    row[j] = exp(row[j] - highest)
                    total += row[j]
                one = _F(1) / total
                out[:] = _F(0)
                for j in range(count):
                    row[j] *= one
                    share, y = row[j], values[first + j, column + left : column + right]
                    for c in range(width):
                        out[c] += share * y[c]
            pair += count


@numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=_LOOSE)
def attend_backward(joint, values, column, offsets, shares, above, d_joint, d_values, d_distances):  # type: ignore[no-untyped-def]
    """The gradients of `attend`, which are added to d_joint, d_values and d_distances, of the shapes of its arguments.

    above  (t, d), the gradient of the result
    """
    d, heads = above.shape[1], d_distances.shape[0]
    width = d // heads
    pair = 0
    slopes = np.empty(d_distances.shape[1], _F)
    for s in range(offsets.shape[0] - 1):
        first = offsets[s]
        for i in range(first, offsets[s + 1]):
            count = i - first + 1
            for h in range(heads):
                left, right = h * width, (h + 1) * width
                row, g = shares[h, pair : pair + count], above[i, left:right]
                mean = _F(0)
                for j in range(count):
                    y = values[first + j, column + left : column + right]
                    dy = d_values[first + j, column + left : column + right]
                    share, dot = row[j], _F(0)
                    for c in range(width):
                        dot += g[c] * y[c]
                        dy[c] += share * g[c]
                    slopes[j] = dot
                    mean += share * dot
                x, dx = joint[i, left:right], d_joint[i, left:right]
                for j in range(count):
                    gain = row[j] * (slopes[j] - mean)
                    y, dy = joint[first + j, d + left : d + right], d_joint[first + j, d + left : d + right]
                    for c in range(width):
                        dx[c] += gain * y[c]
                        dy[c] += gain * x[c]
                    d_distances[h, count - 1 - j] += gain
            pair += count
