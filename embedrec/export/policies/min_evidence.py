"""A minimum of evidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedrec.data.topk import TopK
from embedrec.export.policies.base import kept
from embedrec.export.policies.session_index import Holding


@dataclass(frozen=True, eq=False)
class MinEvidence:
    """Results that stand in fewer than `least` training sessions together with the seed go."""

    least: int
    sessions: Holding

    def apply(self, seeds: np.ndarray, found: TopK) -> TopK:
        """See `Policy`."""
        from embedrec.kernels.rerank import count_shared

        shared = np.empty(found.rows.shape, dtype=np.int64)
        count_shared(self.sessions.starts, self.sessions.held, seeds, found.rows, shared)
        return kept(found, shared >= self.least)
