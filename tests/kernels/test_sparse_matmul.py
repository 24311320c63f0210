"""Products of a symmetric matrix of pairs, against the dense matrix."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.kernels.sparse_matmul import WIDTH, add_product
from tests.conftest import read_only


@pytest.mark.parametrize("n", [0, 1, 2, 5, 40])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_product_equals_that_of_the_dense_matrix(n: int, share: float) -> None:
    rng = np.random.default_rng(n)
    upper = np.triu(rng.normal(size=(n, n)) * (rng.random((n, n)) < share), 1)
    rows, values, starts, ends = [], [], [], []
    for a in range(n):
        starts.append(len(rows))
        for b in rng.permutation(np.flatnonzero(upper[a])):
            rows.append(b)
            values.append(upper[a, b])
        ends.append(len(rows))
        rows.append(-7)  # between the pairs of two items anything may lie
        values.append(np.nan)
    x, out = (rng.normal(size=(n, WIDTH)).astype(np.float32) for _ in range(2))
    expected = out + (upper + upper.T) @ x
    bounds = (read_only(np.array(starts, dtype=np.int64)), read_only(np.array(ends, dtype=np.int64)))
    pairs = (read_only(np.array(rows, dtype=np.int32)), read_only(np.array(values, dtype=np.float32)))
    add_product(*bounds, *pairs, x, out)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)
