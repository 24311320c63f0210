"""Formulas of the session kNNs, against the papers' and the peers' in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log10

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.kernels import session_formulas as formulas
from embedrec.kernels.session_formulas import KnnFormula, decay_at, new_scratch, round_sum, weight_at

WEIGHTS: dict[str, Callable[[int, int], float]] = {
    "W_SAME": lambda p, length: 1.0,
    "W_DIV": lambda p, length: (p + 0.5) / length,
    "W_LINEAR": lambda p, length: max(0.0, 1 - (length - p) / 10),
    "W_QUADRATIC": lambda p, length: (p / length) ** 2,
    "W_LOG": lambda p, length: 2.0 / log10(length - p + 0.5),
    "W_EXP": lambda p, length: exp((p - length) / 2.0),
    "W_PLACE": lambda p, length: float(p),
    "W_COUNT": lambda p, length: 1.0,  # set by what counts the items
    "W_PEER_LINEAR": lambda p, length: 1 - (length - p) / 10 if p <= 10 else 0.0,
}
DECAYS: dict[str, Callable[[int], float]] = {
    "D_SAME": lambda step: 1.0,
    "D_DIV": lambda step: 1 / step,
    "D_LINEAR": lambda step: max(0.0, 1 - step / 10) * 3.0,
    "D_QUADRATIC": lambda step: 1 / step**2,
    "D_LOG": lambda step: 3.0 / log10(step + 1.7),
    "D_EXP": lambda step: exp((1 - step) / 3.0),
    "D_PEER_LINEAR": lambda step: 1 - step / 10 if step <= 3 else 0.0,
}


def test_every_formula_is_tested() -> None:
    assert {name for name in vars(formulas) if name.startswith("W_")} == set(WEIGHTS)
    assert {name for name in vars(formulas) if name.startswith("D_")} == set(DECAYS)
    for names in (WEIGHTS, DECAYS):
        assert sorted(getattr(formulas, name) for name in names) == list(range(len(names)))


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_of_positions_equal_their_formulas(name: str) -> None:
    formula = KnnFormula(1, 1, weight=getattr(formulas, name), shift=0.5, scale=2.0)
    for length in (1, 2, 10, 11, 30):
        for p in range(1, length + 1):
            assert weight_at(formula, p, length) == pytest.approx(WEIGHTS[name](p, length), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", DECAYS)
def test_decays_equal_their_formulas(name: str) -> None:
    formula = KnnFormula(1, 1, decay=getattr(formulas, name), decay_scale=3.0)
    for step in (1, 2, 3, 4, 9, 10, 11, 200):
        assert decay_at(formula, step) == pytest.approx(DECAYS[name](step), rel=1e-12, abs=1e-12)


@given(st.floats(-1e200, 1e200, allow_subnormal=False))
def test_sums_are_rounded_to_40_bits(value: float) -> None:
    assert round_sum(value) == pytest.approx(value, rel=2**-39, abs=0)
    assert round_sum(round_sum(value)) == round_sum(value)


def test_sums_in_another_order_are_equal() -> None:
    rng = np.random.default_rng(0)
    terms = rng.random(50)
    sums = {round_sum(sum(rng.permutation(terms).tolist())) for _ in range(200)}
    assert len(sums) == 1
    assert round_sum(1.0) != round_sum(1 + 2**-38)


def test_new_scratch_is_empty() -> None:
    scratch = new_scratch(3, 2)
    assert scratch.slot.tolist() == [-1] * 3 and scratch.slot.dtype == np.int32
    assert scratch.marks.tolist() == [0, 0] and scratch.marks.dtype == np.uint8
    assert scratch.totals.tolist() == [-np.inf] * 2 and scratch.touched.shape == (3,)
