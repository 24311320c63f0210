"""Hubness correction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from embedrec.data.topk import TopK
from embedrec.export.policies.base import rescored


@dataclass(frozen=True, eq=False)
class Csls:
    """Cross-domain similarity local scaling (Conneau et al. 2018): 2·score(x, y) − r(x) − r(y).

    means  r (n,) float32, the mean score of an item's nearest few: what is near to everything (a hub) is held back
    """

    means: np.ndarray

    def apply(self, seeds: np.ndarray, found: TopK) -> TopK:
        """See `Policy`."""
        return rescored(found, 2 * found.scores - self.means[seeds][:, None] - self.means[found.rows])


def mean_scores(blocks: Iterable[np.ndarray], nearest: int) -> np.ndarray:
    """r (n,) float32: the mean of the best `nearest` scores of each list of blocks (b, c), 0 where a list is empty."""
    means = [np.zeros(0)]
    for block in blocks:
        best = block[:, :nearest].astype(np.float64)
        there = np.isfinite(best)
        means.append(np.where(there, best, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1))
    return np.concatenate(means).astype(np.float32)
