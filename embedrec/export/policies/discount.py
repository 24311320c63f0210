"""A discount on popularity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedrec.data.topk import TopK
from embedrec.export.policies.base import rescored


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
