"""The effect of policies on lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.data.topk import TopK
from embedrec.export.list_statistics import measure_effect
from embedrec.export.resume import ResumableExport


def test_the_effect_of_policies_is_measured(tmp_path: Path) -> None:
    before = np.array([[1, 2, 3], [0, 2, -1], [-1, -1, -1], [0, 1, 2]])
    after = np.array([[2, 1], [3, -1], [-1, -1], [0, 1]])
    kept = []
    for name, rows in (("before", before), ("after", after)):
        scores = np.where(rows < 0, -np.inf, 1)
        result = TopK(rows, scores, Vocab([*"abcd"]))
        kept.append(
            ResumableExport(tmp_path).lists(
                name, 4, rows.shape[1], lambda parts, result=result: (result for _ in parts)
            )
        )
    did = measure_effect(*kept, 4)
    assert (did.coverage_before, did.coverage_after, did.short_before, did.short_after) == (0.75, 1, 1, 2)
    assert did.overlap == pytest.approx((1 + 0 + 1 + 1) / 4)
