"""Plans of parts."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from embedrec.spark.pair_plan import plan_parts
from tests.data import strategies as draw


def test_plan_of_parts() -> None:
    plan = plan_parts(np.array([3.0, 3, 3, 25, 1, 0, 0, 12]), 10, 1)
    assert plan.first.tolist() == [0, 3, 4, 5, 7] and plan.last.tolist() == [3, 4, 5, 7, 8]
    assert plan.salts.tolist() == [1, 3, 1, 1, 2] and plan.bases.tolist() == [0, 1, 4, 5, 6] and plan.parts == 8
    assert plan.part_of.tolist() == [0, 0, 0, 1, 2, 3, 3, 4]
    assert [plan.range_of(part) for part in (0, 1, 3, 4, 5, 7)] == [
        (0, 3, False), (3, 4, True), (3, 4, True), (4, 5, False), (5, 7, False), (7, 8, True),
    ]  # fmt: skip


@draw.given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.integers(1, 20), st.integers(1, 5))
def test_a_plan_has_every_item_once_and_bounds_the_mentions_of_a_part(loads: list[int], size: int, least: int) -> None:
    plan = plan_parts(np.array(loads, dtype=np.float64), size, least)
    assert plan.first[0] == 0 and plan.last[-1] == len(loads) and (plan.first[1:] == plan.last[:-1]).all()
    for first, last, salts in zip(plan.first, plan.last, plan.salts, strict=True):
        assert sum(loads[first:last]) <= 2 * size * salts
        assert salts == 1 or last - first == 1
