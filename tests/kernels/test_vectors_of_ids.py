"""Random numbers of hashes, against a twin in whole numbers of Python."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.kernels.vectors_of_ids import fill

STEP = 0x9E3779B97F4A7C15


def mixed(z: int) -> int:
    """splitmix64 of a counter."""
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31


def twin(digest: int, dim: int, seed: int) -> list[float]:
    """The vector of a hash with deviation 1."""
    counter, numbers = mixed((digest + STEP * mixed((seed + STEP) % 2**64)) % 2**64), []
    for _ in range(dim):
        counter = (counter + STEP) % 2**64
        total = sum(mixed(counter) >> shift & 0xFFFF for shift in (0, 16, 32, 48))
        numbers.append((total - 131070) / (4 * (2**32 - 1) / 12) ** 0.5)
    return numbers


@pytest.mark.parametrize("seed", [0, 7])
def test_numbers_equal_the_twin(seed: int) -> None:
    digests = [0, 1, 2**63 + 5, 2**64 - 1]
    found = np.empty((4, 6), dtype=np.float32)
    fill(np.array(digests, dtype=np.uint64), seed, 1.0, found)
    np.testing.assert_allclose(found, [twin(digest, 6, seed) for digest in digests], rtol=1e-5, atol=1e-6)
