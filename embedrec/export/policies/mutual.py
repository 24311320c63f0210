"""Mutual neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedrec.data.topk import TopK
from embedrec.export.policies.base import kept


@dataclass(frozen=True, eq=False)
class Mutual:
    """A result stays where the seed is among its own results.

    rows  (n, c) int32, the results of all before any policy, −1 for missing
    """

    rows: np.ndarray

    def apply(self, seeds: np.ndarray, found: TopK) -> TopK:
        """See `Policy`."""
        from embedrec.kernels.rerank import find_mutual

        keep = np.empty(found.rows.shape, dtype=np.bool_)
        find_mutual(self.rows, seeds, found.rows, keep)
        return kept(found, keep)
