"""Policies that rescore or reorder: hubness correction (CSLS), popularity discount, diversity (MMR)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from embedrec.data.result_lists import slices
from embedrec.data.topk import TopK
from embedrec.export.policies.base import PolicyContext, rescore
from embedrec.export.policies.session_index import EMPTY, ItemSessionIndex
from embedrec.vectors.exact_search import unit


@dataclass(frozen=True, eq=False)
class Csls:
    """Cross-domain similarity local scaling (Conneau et al. 2018): 2·score(x, y) − r(x) − r(y).

    Hubs, items that are close to many others, are down-weighted.

    means  r (n,) float32, the mean score of each item's nearest neighbours
    """

    means: np.ndarray

    @classmethod
    def create(cls, value: int, context: PolicyContext) -> Csls:
        context.check_same_items()
        candidates = context.candidates
        return cls(mean_scores((candidates.block(part)[1] for part in slices(0, candidates.q)), value))

    def apply(self, seeds: np.ndarray, lists: TopK) -> TopK:
        """See `Policy`."""
        return rescore(lists, 2 * lists.scores - self.means[seeds][:, None] - self.means[lists.rows])


def mean_scores(blocks: Iterable[np.ndarray], nearest: int) -> np.ndarray:
    """r (n,) float32: the mean of the best `nearest` scores of each list of blocks (b, c), 0 where a list is empty."""
    means = [np.zeros(0)]
    for block in blocks:
        best = block[:, :nearest].astype(np.float64)
        valid = np.isfinite(best)
        means.append(np.where(valid, best, 0).sum(axis=1) / np.maximum(valid.sum(axis=1), 1))
    return np.concatenate(means).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Discount:
    """Popularity discount: positive scores are divided by (1 + count) ** exponent, negative ones multiplied by it.

    counts  (n,) occurrences of the items in training
    """

    exponent: float
    counts: np.ndarray

    @classmethod
    def create(cls, value: float, context: PolicyContext) -> Discount:
        return cls(value, context.counts)

    def apply(self, seeds: np.ndarray, lists: TopK) -> TopK:
        """See `Policy`."""
        factor = (1.0 + self.counts[lists.rows]) ** self.exponent
        scores = np.where(lists.rows < 0, 0, lists.scores).astype(np.float64)
        return rescore(lists, np.where(scores > 0, scores / factor, scores * factor))


@dataclass(frozen=True, eq=False)
class Diversity:
    """Maximal marginal relevance (Carbonell & Goldstein 1998): a greedy selection of relevant and dissimilar results.

    The next result is the one of highest (1 − weight)·relevance − weight·similarity. Relevance is the score, scaled so
    that the worst of the list has 0 and the best 1; similarity is the highest cosine with the results selected before,
    at least 0. This value is the new score.

    weight         0 leaves the list unchanged; 1 selects by dissimilarity only, after the first
    k              results selected of each list
    vectors        (n, d) float32 of norm 1, or (0, 0) to use the cosine of the items' sets of training sessions
    item_sessions  the training sessions, used without vectors
    """

    weight: float
    k: int
    vectors: np.ndarray
    item_sessions: ItemSessionIndex

    @classmethod
    def create(cls, value: float, context: PolicyContext) -> Diversity:
        embeddings = context.inputs.vectors
        if embeddings is None:
            return cls(value, context.k, np.zeros((0, 0), np.float32), context.item_sessions)
        return cls(value, context.k, unit(embeddings.vectors), EMPTY)

    def apply(self, seeds: np.ndarray, lists: TopK) -> TopK:
        """See `Policy`."""
        from embedrec.kernels.rerank import choose_diverse

        scores = lists.scores.astype(np.float64)
        valid = lists.rows >= 0
        worst = np.where(valid, scores, np.inf).min(axis=1, initial=np.inf)[:, None]
        best = np.where(valid, scores, -np.inf).max(axis=1, initial=-np.inf)[:, None]
        span = np.where(best > worst, best - worst, 1)
        relevance = np.where(valid & (best > worst), (scores - worst) / span, 1)
        rows = np.empty((len(lists), self.k), dtype=np.int64)
        values = np.empty((len(lists), self.k), dtype=np.float64)
        index = self.item_sessions
        choose_diverse(self.vectors, index.starts, index.sessions, lists.rows, relevance, self.weight, rows, values)
        return TopK(rows, values, lists.vocab)
