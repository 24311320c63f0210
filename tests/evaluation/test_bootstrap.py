from __future__ import annotations

import numpy as np
import pytest

import embedrec.evaluation.bootstrap as module
from embedrec.evaluation.bootstrap import interval, resampled_means
from tests.conftest import read_only


def test_the_interval_of_a_constant_has_width_0() -> None:
    values = read_only(np.full((30, 2), [0.25, 7.0]))
    low, high = interval(resampled_means(values, read_only(np.arange(30) % 7), draws=50))
    assert low.tolist() == high.tolist() == [0.25, 7.0]


def test_clusters_are_resampled_together() -> None:
    """Of two clusters, one of a single 1 and one of three zeros, a draw holds both, or one of them twice."""
    values = np.array([[1.0], [0.0], [0.0], [0.0]])
    means = resampled_means(values, np.array([9, 4, 4, 4]), draws=400)[:, 0]
    assert set(means.tolist()) == {0.0, 0.25, 1.0}
    assert 60 < (means == 1).sum() < 140 and 150 < (means == 0.25).sum() < 250  # of 400: 100 and 200
    alone = resampled_means(values, np.arange(4), draws=400)[:, 0]
    assert set(alone.tolist()) > {0.0, 0.25, 0.5}  # more values when every test case is a cluster


def test_cluster_numbers_do_not_matter() -> None:
    values = np.random.default_rng(0).random((40, 3))
    cluster = np.sort(np.random.default_rng(1).integers(8, size=40))
    means = resampled_means(values, cluster, draws=20)
    assert (resampled_means(values, cluster * 1000 - 5, draws=20) == means).all()
    order = np.random.default_rng(2).permutation(40)
    np.testing.assert_allclose(resampled_means(values[order], cluster[order], draws=20), means)


def test_means_equal_a_slow_reference() -> None:
    """Every mean is that of as many clusters, drawn with replacement."""
    values = np.array([[2.0], [4.0], [6.0], [8.0], [10.0]])
    cluster = np.array([0, 0, 1, 2, 2])
    parts = [[2, 4], [6], [8, 10]]
    possible = {
        round(float(np.mean([*parts[a], *parts[b], *parts[c]])), 9)
        for a in range(3)
        for b in range(3)
        for c in range(3)
    }
    means = {round(m, 9) for m in resampled_means(values, cluster, draws=500)[:, 0].tolist()}
    assert means == possible


def test_the_same_seed_draws_the_same_clusters() -> None:
    rng = np.random.default_rng(0)
    cluster = rng.integers(20, size=100)
    one, other = rng.random((100, 2)), rng.random((100, 2))
    both = resampled_means(np.hstack([one, other]), cluster, seed=3, draws=40)
    assert (resampled_means(one, cluster, seed=3, draws=40) == both[:, :2]).all()
    assert (resampled_means(other, cluster, seed=3, draws=40) == both[:, 2:]).all()
    assert (resampled_means(one, cluster, seed=4, draws=40) != both[:, :2]).any()
    np.testing.assert_allclose(resampled_means(one + 1, cluster, seed=3, draws=40), both[:, :2] + 1)


def test_blocks_do_not_change_the_means(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random((30, 2))
    whole = resampled_means(values, np.arange(30), draws=25)
    monkeypatch.setattr(module, "BLOCK_DRAWS", 100)
    parts = resampled_means(values, np.arange(30), draws=25)
    assert parts.shape == whole.shape == (25, 2)
    np.testing.assert_allclose(parts, whole)


def test_missing_values_are_ignored() -> None:
    values = np.array([[1.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    means = resampled_means(values, np.arange(3), draws=200)
    assert set(means[~np.isnan(means[:, 0]), 0].tolist()) >= {1.0, 2.0, 3.0}
    assert np.isnan(means[:, 0]).any()  # the question without a value three times
    low, high = interval(means)
    assert (low[0], high[0]) == (1.0, 3.0)
    assert np.isnan(low[1]) and np.isnan(high[1])


def test_one_cluster_has_an_interval_of_width_0() -> None:
    assert resampled_means(np.array([[0.5]]), np.array([3]), draws=4).tolist() == [[0.5]] * 4
    assert resampled_means(np.array([[0.0], [1.0]]), np.array([3, 3]), draws=4).tolist() == [[0.5]] * 4


def test_levels_of_an_interval() -> None:
    means = np.arange(101.0)[:, None]
    assert [float(end[0]) for end in interval(means)] == pytest.approx([2.5, 97.5])
    assert [float(end[0]) for end in interval(means, 0.5)] == pytest.approx([25, 75])


def test_intervals_cover_the_true_mean_at_their_level() -> None:
    """Sessions share half of their noise, so that intervals of single test cases would be far too narrow."""
    rng = np.random.default_rng(0)
    trials, clusters, size = 250, 60, 4
    cluster = np.repeat(np.arange(clusters), size)
    held, naive = 0, 0
    for trial in range(trials):
        values = 3 + rng.normal(size=clusters)[cluster] + rng.normal(size=clusters * size)
        low, high = interval(resampled_means(values[:, None], cluster, draws=200, seed=trial))
        held += low[0] <= 3 <= high[0]
        low, high = interval(resampled_means(values[:, None], np.arange(len(values)), draws=200, seed=trial))
        naive += low[0] <= 3 <= high[0]
    assert 0.89 < held / trials < 0.98
    assert naive / trials < 0.85
