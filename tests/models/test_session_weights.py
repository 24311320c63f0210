"""Weights whose sums depend on no order."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
from embedrec.models.session_weights import exact_session_weights, exact_weights, scale_weights
from tests.conftest import of_lists
from tests.data import strategies as draw


@draw.given(st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_sums_are_exact_in_any_order(values: list[float], random: object) -> None:
    weights = exact_weights(np.array(values), sum(values))
    exact = float(sum(Fraction(w) for w in weights.tolist()))
    shuffled = weights.tolist()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert sum(weights.tolist()) == sum(shuffled) == exact
    assert np.abs(weights - values).max() <= 2 * sum(values) * 2.0**-53
    assert (weights > 0).all()


def test_scaled_weights_have_a_mean_of_1_over_mentions() -> None:
    lengths = np.array([3, 0, 5, 1])  # sessions of 0, 1, 2 and 3 items
    scaled = scale_weights(np.array([1.0, 1.0, 2.0, 4.0]), lengths)
    assert (scaled * lengths * np.arange(4)).sum() == pytest.approx((lengths * np.arange(4)).sum())
    assert scaled[3] == pytest.approx(2 * scaled[2])
    assert scale_weights(np.ones(1), np.zeros(1, dtype=np.int64)).tolist() == [0.0]


def test_without_mentions_weights_stay_positive() -> None:
    assert (exact_session_weights(np.zeros(1), np.array([2])) > 0).all()


@pytest.mark.parametrize("measure", ["tf-idf", "bm25"])
def test_models_do_not_depend_on_the_order_of_sessions(measure: str) -> None:
    rng = np.random.default_rng(3)
    lists = [rng.integers(0, 25, rng.integers(1, 12)).tolist() for _ in range(400)]
    vocab = of_lists(lists).vocab
    first = Cooccurrence(measure).fit(of_lists(lists, vocab))  # type: ignore[arg-type]
    second = Cooccurrence(measure).fit(of_lists(lists[::-1], vocab))  # type: ignore[arg-type]
    assert first.arrays["items"].tobytes() == second.arrays["items"].tobytes()
    assert first.arrays["scores"].tobytes() == second.arrays["scores"].tobytes()
