"""`kernels.fuse_lists` against slow twins; its sums are also tested through `ranking.fusion`."""

from __future__ import annotations

import subprocess
import sys

import hypothesis
import numpy as np
from hypothesis import strategies as st

from embedrec.kernels.fuse_lists import target_gains, top_candidates


@hypothesis.given(st.integers(0, 10_000))
def test_top_candidates_are_sorted_by_score_then_row(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 9, 4)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    items = np.concatenate([rng.permutation(20)[:c] for c in counts]).astype(np.int32)
    scores = rng.integers(-2, 3, len(items)).astype(np.float32)
    seen_offsets, seen = np.array([0, 2, 2, 5, 6]), rng.integers(0, 20, 6).astype(np.int32)
    for exclude in (False, True):
        rows, values, lowest = np.full((4, 3), -1), np.full((4, 3), -np.inf, np.float32), np.empty(4)
        top_candidates(offsets, items, scores, seen_offsets, seen, exclude, rows, values, lowest)
        for q in range(4):
            own = slice(*offsets[q : q + 2])
            hidden = set(seen[slice(*seen_offsets[q : q + 2])].tolist()) if exclude else set()
            pairs = sorted(
                (-s, i) for i, s in zip(items[own].tolist(), scores[own].tolist(), strict=True) if i not in hidden
            )
            expected = [(i, -s) for s, i in pairs][:3]
            found = [(i, s) for i, s in zip(rows[q].tolist(), values[q].tolist(), strict=True) if i >= 0]
            assert found == expected and lowest[q] == min(scores[own], default=0)


def test_gains_of_targets_count_ties_before_them() -> None:
    values = np.array([[1, 0], [0, 1], [0.5, 0.5], [1, 1]], np.float32)
    offsets, weights = np.array([0, 3, 3, 4]), np.array([1.0, 1.0])
    targets = np.array([2, -1, 3])
    reciprocal, gain = target_gains(offsets, values, weights, targets, 20)
    assert reciprocal == 1 / 3 + 1 and gain == 1 / np.log2(4) + 1
    assert target_gains(offsets, values, weights, targets, 2)[0] == 1


AFTER_SASREC = """
import numpy as np
from embedrec import SASRec, Sessions
SASRec(dim=8, epochs=1, patience=None).fit(Sessions.of_lists([[1, 2, 3], [2, 3, 1]] * 20))
from embedrec.kernels.fuse_lists import top_candidates
scores = np.array([1, 4, 2, 3, 0], np.float32)
rows, values, lowest = np.full((1, 3), -1), np.full((1, 3), -np.inf, np.float32), np.empty(1)
none = np.zeros(2, np.int64), np.zeros(0, np.int32)
top_candidates(np.array([0, 5]), np.arange(10, 15, dtype=np.int32), scores, *none, False, rows, values, lowest)
print(rows.tolist(), values.tolist(), lowest.tolist())
"""


def test_top_candidates_in_a_process_that_has_trained_sasrec() -> None:
    """numba's argsort by merging, if loaded after the kernels of sasrec, returned what is in memory."""
    done = subprocess.run([sys.executable, "-c", AFTER_SASREC], check=True, capture_output=True, text=True)
    assert done.stdout == "[[11, 13, 12]] [[4.0, 3.0, 2.0]] [0.0]\n"
