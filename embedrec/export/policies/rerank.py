"""Hubness correction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from embedrec.data.topk import TopK
from embedrec.export.policies.base import rescored
from embedrec.export.policies.session_index import ItemSessionIndex


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


@dataclass(frozen=True, eq=False)
class Discount:
    """Scores above 0 are divided by (1 + count) ** exponent, those below are multiplied by it: both fall.

    counts  (n,) training mentions of the items
    """

    exponent: float
    counts: np.ndarray

    def apply(self, seeds: np.ndarray, found: TopK) -> TopK:
        """See `Policy`."""
        factor = (1.0 + self.counts[found.rows]) ** self.exponent
        scores = np.where(found.rows < 0, 0, found.scores).astype(np.float64)
        return rescored(found, np.where(scores > 0, scores / factor, scores * factor))


@dataclass(frozen=True, eq=False)
class Diversity:
    """Maximal marginal relevance (Carbonell & Goldstein 1998): one after the other, what is relevant and new.

    The next result is the one of highest (1 − weight)·relevance − weight·likeness. Relevance is its score between the
    worst (0) and the best (1) of its list; likeness its highest cosine with what stands before it, 0 at least. This
    value is its new score.

    weight    0: the list as it is; 1: the first, and then what is most unlike
    k         results chosen of each list
    vectors   (n, d) float32 of norm 1, or (0, 0): then likeness is the cosine of items' sets of training sessions
    sessions  those, where there are no vectors
    """

    weight: float
    k: int
    vectors: np.ndarray
    sessions: ItemSessionIndex

    def apply(self, seeds: np.ndarray, found: TopK) -> TopK:
        """See `Policy`."""
        from embedrec.kernels.rerank import choose_diverse

        scores = found.scores.astype(np.float64)
        there = found.rows >= 0
        worst = np.where(there, scores, np.inf).min(axis=1, initial=np.inf)[:, None]
        best = np.where(there, scores, -np.inf).max(axis=1, initial=-np.inf)[:, None]
        span = np.where(best > worst, best - worst, 1)
        relevance = np.where(there & (best > worst), (scores - worst) / span, 1)
        rows = np.empty((len(found), self.k), dtype=np.int64)
        values = np.empty((len(found), self.k), dtype=np.float64)
        held = self.sessions
        choose_diverse(self.vectors, held.starts, held.held, found.rows, relevance, self.weight, rows, values)
        return TopK(rows, values, found.vocab)
