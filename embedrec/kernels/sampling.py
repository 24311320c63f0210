"""Random draws that depend on (seed, epoch, session) only, not on the thread.

A stream is a counter: draw number t of session s in epoch e is a hash (splitmix64: Steele, Lea & Flood 2014) of all
three, so that sessions may be assigned to threads in any way.
"""

from __future__ import annotations

import numba
import numpy as np

STEP = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ over the golden ratio: distance between two counters of a stream
_MIX1, _MIX2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_27, _30, _31, _32 = (np.uint64(k) for k in (27, 30, 31, 32))
_LOW = np.uint64(0xFFFFFFFF)


@numba.njit(nogil=True, cache=True)
def mix(counter):  # type: ignore[no-untyped-def]
    """64 random bits (uint64) of a counter (uint64)."""
    z = (counter ^ (counter >> _30)) * _MIX1
    z = (z ^ (z >> _27)) * _MIX2
    return z ^ (z >> _31)


@numba.njit(nogil=True, cache=True)
def stream(seed, epoch, session):  # type: ignore[no-untyped-def]
    """The first counter (uint64) of a session's stream; callers add `STEP` before each `mix`."""
    return mix(np.uint64(seed) + STEP * mix(np.uint64(epoch) + STEP * mix(np.uint64(session) + STEP)))


@numba.njit(nogil=True, cache=True)
def random_below(bits, n):  # type: ignore[no-untyped-def]
    """A whole number in 0 … n − 1 (n < 2³²) from the upper half of 64 random bits."""
    return np.int64(((bits >> _32) * np.uint64(n)) >> _32)


@numba.njit(nogil=True, cache=True)
def pick(bits, threshold, other):  # type: ignore[no-untyped-def]
    """A row drawn from the alias table (`threshold`, `other`) with 64 random bits."""
    row = random_below(bits, threshold.shape[0])
    return row if (bits & _LOW) < threshold[row] else np.int64(other[row])


@numba.njit(nogil=True, cache=True)
def _pair_up(share, threshold, other):  # type: ignore[no-untyped-def]
    """Fill an alias table: each share below the mean of 1 is completed by one above it."""
    n = share.shape[0]
    stack = np.empty(n, np.int64)  # small shares from the left, large ones from the right
    small, large = 0, n
    for r in range(n):
        if share[r] < 1.0:
            stack[small] = r
            small += 1
        else:
            large -= 1
            stack[large] = r
    while small > 0 and large < n:
        small -= 1
        low, high = stack[small], stack[large]
        threshold[low] = np.uint32(share[low] * 4294967295.0)
        other[low] = high
        share[high] -= 1.0 - share[low]
        if share[high] < 1.0:
            large += 1
            stack[small] = high
            small += 1


def alias_table(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An alias table, from which `pick` draws rows in proportion to `weights` in constant time (Walker 1977).

    weights  (n,) float64, none negative, not all 0; a row of weight 0 is never drawn
    Returns threshold (n,) uint32 and other (n,) int32: row r stays r when 32 random bits are below threshold[r],
    and becomes other[r] otherwise.
    """
    n = len(weights)
    share = weights / weights.max()  # so that no sum overflows
    threshold = np.full(n, 0xFFFFFFFF, dtype=np.uint32)
    other = np.arange(n, dtype=np.int32)
    _pair_up(share * (n / share.sum()), threshold, other)
    # Rounding may leave a row unpaired; a row of weight 0 must not stay its own alias.
    threshold[weights == 0] = 0
    other[(weights == 0) & (other == np.arange(n))] = np.argmax(weights)
    return threshold, other


@numba.njit(nogil=True, cache=True)
def draw(threshold, other, seed, epoch, block, rows):  # type: ignore[no-untyped-def]
    """Fill rows (m,) int64 with the draws of a block from the alias table (`threshold`, `other`)."""
    counter = stream(seed, epoch, block)
    for i in range(rows.shape[0]):
        counter += STEP
        rows[i] = pick(mix(counter), threshold, other)


def noise_weights(counts: np.ndarray, exponent: float) -> np.ndarray:
    """Weights (n,) float64 of negatives: counts (n,) to the power of `exponent`; an item without mentions has 0."""
    logs = np.log(np.maximum(counts, 1)) * exponent
    return np.where(counts > 0, np.exp(logs - logs[counts > 0].max(initial=-np.inf)), 0.0)


def keep_probabilities(counts: np.ndarray, sample: float) -> np.ndarray:
    """Probability that a mention of each item is kept in an epoch: (n,) float32, 1 where `sample` is 0.

    counts  (n,) mentions
    sample  with t = sample · total mentions and c the item's: (√(c/t) + 1) · t/c, as in the word2vec code
            (the paper, Mikolov et al. 2013b, has √(t/c))
    """
    if sample == 0:
        return np.ones(len(counts), dtype=np.float32)
    share = np.maximum(counts, 1) / (sample * counts.sum())
    return np.minimum((np.sqrt(share) + 1) / share, 1).astype(np.float32)
