"""Lists after policies: those that an export writes, read in any order of blocks."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.export.policies.settings import Policies
from embedrec.export.select_lists import select_lists
from embedrec.export.write_lists import ExportSettings
from tests.export.lists import inputs_of, lists_of, some_lists

LISTS = some_lists(30, 6, seed=3)


def test_without_policies_lists_are_those_of_the_source() -> None:
    source = lists_of(LISTS)
    with select_lists(source, ExportSettings(3), inputs_of(LISTS.vocab)) as selected:
        assert selected.lists is source and selected.result is None


@pytest.mark.parametrize("k", [1, 3, 6, 20])
def test_policies_select_lists(k: int) -> None:
    """Slow reference: the policy in Python."""
    source = lists_of(LISTS)
    least = float(np.median(LISTS.scores[LISTS.rows >= 0]))
    with select_lists(source, ExportSettings(k, Policies(min_score=least)), inputs_of(LISTS.vocab)) as selected:
        assert selected.result is None  # nothing is computed before the lists are read
        lists = selected.lists
        assert lists.max_k == min(k, 6) and len(lists) == len(source)
        for rows in (np.array([7, 8, 20]), np.arange(30), np.empty(0, np.int64)):
            top = lists.of(rows, k)
            for row, got in zip(rows.tolist(), top.rows.tolist(), strict=True):
                pairs = zip(LISTS.rows[row].tolist(), LISTS.scores[row].tolist(), strict=True)
                right = [result for result, score in pairs if score >= np.float32(least) and result >= 0][:k]
                assert [result for result in got if result >= 0] == right
        assert selected.result is not None and selected.result.lists == 30 and selected.result.effect is not None
        folder = selected.folder
        assert folder.is_dir()
    assert not folder.exists()
