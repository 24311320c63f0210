"""Weights of sessions by their length, rounded so that their sums are exact: no result depends on an order of sessions.

A sum of doubles depends on the order of its terms. Here, terms are multiples of a power of 2 large enough that no sum
needs a digit below it; then parts of sessions can be summed apart, on any number of machines, to equal bytes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_DIGITS = 53  # binary digits of a double
_TINY = 1e-200


class PairStatistics(NamedTuple):
    """What the score of a pair depends on besides its count, for n items that count once a session.

    sessions  their number
    counts    (n,) float64 sessions that contain each item
    norms     (n,) float64 sum of the weights of these sessions
    totals    (n,) float64 sum of the weighted counts of each item with all others
    """

    sessions: int
    counts: np.ndarray
    norms: np.ndarray
    totals: np.ndarray


def scale_weights(weights: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Weights (l+1,) of sessions of 0 … l items, scaled so that the mean over all mentions is 1.

    lengths  (l+1,) int64 number of sessions of each length
    """
    mentions = lengths * np.arange(len(lengths))
    return np.asarray(weights * (mentions.sum() / max(float((weights * mentions).sum()), _TINY)))


def exact_session_weights(weights: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Weights (l+1,) of sessions of 0 … l items, rounded so that sums over pairs of their items are exact.

    lengths  (l+1,) int64 number of sessions of each length
    """
    mentions = lengths * np.arange(len(lengths))
    return exact_weights(weights, float((weights * mentions).sum()))


def exact_weights(weights: np.ndarray, bound: float) -> np.ndarray:
    """Positive weights, rounded to multiples of a power of 2 whose sums up to `bound` are exact in double precision.

    The error of a weight is below bound · 2⁻⁵³; weights below that become the smallest multiple, not 0.
    """
    unit = 2.0 ** (np.ceil(np.log2(max(bound, _TINY))) - _DIGITS)
    return np.asarray(np.maximum(np.rint(weights / unit), 1) * unit)
