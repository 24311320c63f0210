"""An order in which near vectors follow each other."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.index import hnsw_build
from embedrec.index.hnsw_build import local_order


@pytest.mark.parametrize("n", [0, 1, 256, 257, 3000])
def test_every_row_comes_once(n: int) -> None:
    vectors = np.random.default_rng(n).normal(size=(n, 5)).astype(np.float32)
    order = local_order(vectors.__getitem__, n)
    assert order.dtype == np.int64
    assert sorted(order) == list(range(n))
    np.testing.assert_array_equal(order, local_order(vectors.__getitem__, n))


def test_those_that_follow_each_other_are_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hnsw_build, "LEAF", 8)
    monkeypatch.setattr(hnsw_build, "_BLOCK", 100)
    vectors = np.random.default_rng(0).normal(size=(2000, 3)).astype(np.float32)
    found = vectors[local_order(vectors.__getitem__, 2000)]
    apart, apart_as_given = (np.linalg.norm(np.diff(v, axis=0), axis=1).mean() for v in (found, vectors))
    assert apart < apart_as_given / 3


def test_the_first_cut_is_across_the_longest_axis() -> None:
    """Twins lie in the same half: 0 to 299 on the left, the others on the right, whatever their order."""
    rng = np.random.default_rng(1)
    left = rng.permutation(600) < 300
    vectors = rng.normal(size=(600, 4)).astype(np.float32)
    vectors[:, 2] += np.where(left, -20, 20)
    order = local_order(vectors.__getitem__, 600)
    assert left[order[:300]].all() or left[order[300:]].all()


def test_vectors_that_are_all_the_same_are_ordered_too() -> None:
    vectors = np.ones((1000, 4), dtype=np.float32)
    assert sorted(local_order(vectors.__getitem__, 1000)) == list(range(1000))
