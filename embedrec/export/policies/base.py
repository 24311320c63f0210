"""What a policy is."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from embedrec.data.topk import TopK, best_first


class Policy(Protocol):
    """One thing that is done to lists before they are written."""

    def apply(self, seeds: np.ndarray, found: TopK) -> TopK:
        """The lists of seeds, changed.

        seeds  (b,) int64 rows of the seeds
        found  (b, c) more results than will be written, best first
        """
        ...


def kept(found: TopK, keep: np.ndarray) -> TopK:
    """The results where keep (b, c) is true, moved to the left."""
    keep = keep & (found.rows >= 0)
    order = np.argsort(~keep, axis=1, kind="stable")
    rows = np.take_along_axis(np.where(keep, found.rows, -1), order, 1)
    scores = np.take_along_axis(np.where(keep, found.scores, -np.inf), order, 1)
    return TopK(rows, scores, found.vocab)


def rescored(found: TopK, scores: np.ndarray) -> TopK:
    """The same results with other scores (b, c), in their order."""
    return best_first(found.rows, scores, found.vocab)
