"""A policy: drop results that are too popular."""

from dataclasses import dataclass

import numpy as np

from embedrec.data.topk import TopK
from embedrec.export.policies.base import PolicyContext, filter_results


@dataclass(frozen=True, eq=False)
class MaxCount:
    """Drop results that occur more than `most` times in training.

    counts  (n,) occurrences of the items in training
    """

    most: int
    counts: np.ndarray

    @classmethod
    def create(cls, value: int, context: PolicyContext) -> "MaxCount":
        return cls(value, context.counts)

    def apply(self, seeds: np.ndarray, lists: TopK) -> TopK:
        """See `Policy`."""
        return filter_results(lists, self.counts[lists.rows] <= self.most)
