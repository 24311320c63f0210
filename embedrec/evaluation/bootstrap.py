"""Bootstrap confidence intervals over sessions (Efron 1979). Test cases of one session are resampled together, as they
are not independent. The same seed draws the same sessions for two models, so that differences are paired."""

from __future__ import annotations

import numpy as np

DRAWS = 1000
BLOCK_DRAWS = 1 << 22  # sessions drawn at a time


def resampled_means(values: np.ndarray, cluster: np.ndarray, *, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """Means of resampled test cases: (draws, m) float64.

    values   (Q, m) metrics of each test case; NaN is ignored
    cluster  (Q,) int: cases of the same cluster are drawn together
    """
    _, cluster = np.unique(cluster, return_inverse=True)
    count = int(cluster.max(initial=-1)) + 1  # C
    given = ~np.isnan(values)
    sums = _by_cluster(np.where(given, values, 0), cluster, count)  # (C, m)
    sizes = _by_cluster(given.astype(np.float64), cluster, count)
    rng = np.random.default_rng(seed)
    means = []
    step = max(1, BLOCK_DRAWS // max(count, 1))
    for start in range(0, draws, step):
        now = min(step, draws - start)
        drawn = rng.integers(count, size=(now, count)) + np.arange(now)[:, None] * count
        weights = np.bincount(drawn.ravel(), minlength=now * count).reshape(now, count).astype(np.float64)
        total = weights @ sizes
        means.append((weights @ sums) / np.where(total > 0, total, np.nan))
    return np.concatenate([np.zeros((0, values.shape[1])), *means])


def interval(means: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends (m,) of the percentile interval of resampled means (draws, m); NaN for an empty column."""
    tail = (1 - level) / 2 * 100
    low, high = np.full((2, means.shape[1]), np.nan)
    valid = ~np.isnan(means).all(axis=0)
    low[valid], high[valid] = np.nanpercentile(means[:, valid], [tail, 100 - tail], axis=0)
    return low, high


def _by_cluster(values: np.ndarray, cluster: np.ndarray, count: int) -> np.ndarray:
    """Sums (C, m) of the rows of each cluster."""
    order = np.argsort(cluster, kind="stable")
    starts = np.searchsorted(cluster[order], np.arange(count))
    return np.add.reduceat(values[order], starts, axis=0)
