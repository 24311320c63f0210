"""The interface of a policy, and the two ways to change lists: filter and rescore."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from embedrec.data.topk import TopK, best_first


class Policy(Protocol):
    """One change to lists before they are written."""

    def apply(self, seeds: np.ndarray, lists: TopK) -> TopK:
        """The changed lists.

        seeds  (b,) int64 rows of the seeds
        lists  (b, c) candidates, more than are written, best first
        """
        ...


def filter_results(lists: TopK, keep: np.ndarray) -> TopK:
    """The results where keep (b, c) is true, moved to the left."""
    keep = keep & (lists.rows >= 0)
    order = np.argsort(~keep, axis=1, kind="stable")
    rows = np.take_along_axis(np.where(keep, lists.rows, -1), order, 1)
    scores = np.take_along_axis(np.where(keep, lists.scores, -np.inf), order, 1)
    return TopK(rows, scores, lists.vocab)


def rescore(lists: TopK, scores: np.ndarray) -> TopK:
    """The same results with other scores (b, c), sorted by them."""
    return best_first(lists.rows, scores, lists.vocab)
