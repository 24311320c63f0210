"""Random vectors of ids."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from embedrec.models.vectors_of_ids import vectors_of_ids
from tests.kernels.test_vectors_of_ids import twin


def test_vectors_equal_the_twin_of_the_digests_of_ids() -> None:
    ids = np.array(["a", "5", "bread & jam", "é"], dtype=object)
    digests = [int.from_bytes(hashlib.blake2b(i.encode(), digest_size=8).digest(), "little") for i in ids]
    found = vectors_of_ids(ids, 6, 1.0, 7)
    np.testing.assert_allclose(found, [twin(digest, 6, 7) for digest in digests], rtol=1e-5, atol=1e-6)
    assert found.dtype == np.float32


def test_a_vector_depends_on_its_id_and_the_seed_only() -> None:
    every = vectors_of_ids(np.arange(50), 8, 0.1, 3)
    assert (vectors_of_ids(np.array([31, 4]), 8, 0.1, 3) == every[[31, 4]]).all()
    assert (vectors_of_ids(np.array(["31"], dtype=object), 8, 0.1, 3) == every[31]).all()
    assert not (vectors_of_ids(np.arange(50), 8, 0.1, 4) == every).any()


def test_numbers_have_mean_0_the_deviation_and_no_correlation() -> None:
    numbers = vectors_of_ids(np.arange(4000), 16, 0.25, 0).astype(np.float64)
    assert abs(numbers.mean()) < 0.004 and numbers.std() == pytest.approx(0.25, rel=0.01)
    assert np.abs(np.corrcoef(numbers.T) - np.eye(16)).max() < 0.07
    assert vectors_of_ids(np.array([], dtype=np.int64), 3, 1.0, 0).shape == (0, 3)
