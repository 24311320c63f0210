"""Exact scores of candidates: the kernel against NumPy, bit for bit, and both against Python's own numbers."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.data.topk import sort_results
from embedrec.kernels.rescore import rescore
from embedrec.vectors.exact_search import METRICS, exact_keys
from tests.conftest import read_only, slow_scores, some_embeddings


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("d", [1, 2, 7, 8, 9, 16, 31, 64, 100])
def test_keys_have_the_bits_of_numpy(metric: str, d: int) -> None:
    given = some_embeddings(200, d, metric, spread=2.0)
    vectors = given.vectors.copy()
    vectors[[3, 50]] = 0
    vectors[60:80] = vectors[:20]  # ties
    rng = np.random.default_rng(d)
    rows = np.stack([rng.permutation(200)[:40] for _ in range(30)])
    rows[rng.random(rows.shape) < 0.2] = -1
    rows[7] = -1
    queries = np.concatenate([vectors[:15], rng.normal(size=(15, d)).astype(np.float32)])
    found_rows, found_scores = np.empty((30, 12), dtype=np.int64), np.empty((30, 12))
    rescore(read_only(vectors), read_only(queries), read_only(rows), METRICS.index(metric), found_rows, found_scores)
    expected = sort_results(rows, exact_keys(vectors, queries, rows, metric), given.vocab).first(12)  # type: ignore[arg-type]
    assert (found_rows == expected.rows).all()
    assert (found_scores == expected.scores).all()
    for q in range(30):
        slow = np.array(slow_scores(vectors, queries[q], metric), dtype=np.float32)
        valid = found_rows[q] >= 0
        np.testing.assert_allclose(found_scores[q][valid], slow[found_rows[q][valid]], rtol=2e-7, atol=1e-12)
