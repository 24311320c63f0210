"""Random vectors that depend on an id and a seed only, not on the other ids."""

from __future__ import annotations

import numba
import numpy as np

from embedrec.kernels.sampling import STEP, mix

_PARTS, _MEAN = 4, 2 * 65535.0  # 16-bit parts of 64 random bits, and the mean of their sum
_DEVIATION = float(np.sqrt(4 * (2.0**32 - 1) / 12))  # of that sum
_16, _LOW = np.uint64(16), np.uint64(0xFFFF)


@numba.njit(nogil=True, cache=True)
def fill(hashes, seed, scale, vectors):  # type: ignore[no-untyped-def]
    """Fill vectors (n, d) float32 with random numbers of mean 0 and standard deviation `scale`.

    hashes  (n,) uint64 of the ids

    A number is the sum of four uniform ones, which is nearly normal. Each row is a stream of its own, see `sampling`.
    """
    for i in range(vectors.shape[0]):
        now = mix(hashes[i] + STEP * mix(np.uint64(seed) + STEP))
        for k in range(vectors.shape[1]):
            now += STEP
            bits = mix(now)
            total = 0.0
            for _ in range(_PARTS):
                total += np.float64(bits & _LOW)
                bits >>= _16
            vectors[i, k] = np.float32(scale * (total - _MEAN) / _DEVIATION)
