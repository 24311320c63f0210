"""A minimum score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedrec.data.topk import TopK
from embedrec.export.policies.base import kept


@dataclass(frozen=True)
class MinScore:
    """Results with a lower score than `least` go."""

    least: float

    def apply(self, seeds: np.ndarray, found: TopK) -> TopK:
        """See `Policy`."""
        return kept(found, found.scores >= np.float32(self.least))
