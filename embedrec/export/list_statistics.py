"""The effect of policies on lists: catalogue coverage, Gini coefficient, overlap and list lengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embedrec.data.result_lists import ListBlocks, slices
from embedrec.data.statistics import gini


@dataclass(frozen=True)
class PolicyEffect:
    """Lists before and after policies.

    coverage_before, coverage_after  share of the catalogue that appears in at least one list
    gini_before, gini_after          concentration of the items over lists: 0 uniform, near 1 few items dominate
    overlap                          mean share of the k results that are in both lists
    short_before, short_after        lists with fewer than k results
    """

    coverage_before: float
    coverage_after: float
    gini_before: float
    gini_after: float
    overlap: float
    short_before: int
    short_after: int


def measure_effect(before: ListBlocks, after: ListBlocks, n: int) -> PolicyEffect:
    """Compare the first k results of the lists `before` with the lists `after` (q, k), in a catalogue of n items.

    The overlap divides by the length of the longer list; two empty lists have an overlap of 1.
    """
    k, counts, short = after.k, np.zeros((2, n), dtype=np.int64), [0, 0]
    overlap = 0.0
    for part in slices(0, after.q):
        both = before.block(part)[0][:, :k], after.block(part)[0]
        lengths = [(rows >= 0).sum(axis=1) for rows in both]
        for side, rows in enumerate(both):
            counts[side] += np.bincount(rows[rows >= 0], minlength=n)
            short[side] += int((lengths[side] < k).sum())
        shared = sum((both[0][:, [j]] == both[1]).any(axis=1) & (both[0][:, j] >= 0) for j in range(both[0].shape[1]))
        longest = np.maximum(*lengths)
        overlap += float(np.where(longest > 0, shared / np.maximum(longest, 1), 1).sum())
    coverage = (counts > 0).mean(axis=1) if n else np.zeros(2)
    spread = gini(counts[0]), gini(counts[1])
    return PolicyEffect(float(coverage[0]), float(coverage[1]), *spread, overlap / max(after.q, 1), short[0], short[1])
