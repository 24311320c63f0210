"""Fusion of lists: formulas, weights, and what a model learns on data whose right answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec import Fusion, Sessions
from embedrec.errors import DataError, SettingsError
from embedrec.ranking.candidates import ModelLists, merge_lists
from embedrec.ranking.fusion import FusionScorer
from tests.conftest import of_lists


def chains(count: int = 300) -> Sessions:
    """Item i is followed by item i + 1; item p is the most frequent, and first."""
    rng = np.random.default_rng(0)
    return of_lists(
        [["p", *(f"i{(s + k) % 20}" for k in range(n))] for s, n in rng.integers((0, 2), (20, 15), (count, 2)).tolist()]
    )


def test_reciprocal_ranks_and_normalised_scores() -> None:
    lists = [
        ModelLists(np.array([[4, 2, 7]]), np.array([[0.9, 0.7, 0.5]], np.float32)),
        ModelLists(np.array([[2, -1]]), np.array([[8.0, -np.inf]], np.float32)),
    ]
    candidates, histories = merge_lists(lists), of_lists([[]])
    weights = np.array([1, 2], np.float32)
    by_rank = FusionScorer(("a", "b"), weights, True, 60.0).scores(histories, candidates)
    assert dict(zip(candidates.items.tolist(), by_rank.tolist(), strict=True)) == pytest.approx(
        {4: 1, 2: 60 / 61 + 2, 7: 60 / 62}, rel=1e-6
    )
    scores = FusionScorer(("a", "b"), weights, False, 60.0).scores(histories, candidates)
    # the last of three scores is a quarter, the only one of a list is 1
    assert dict(zip(candidates.items.tolist(), scores.tolist(), strict=True)) == pytest.approx(
        {4: 1, 2: (0.5 * 3 + 1) / 4 + 2, 7: 0.25}, rel=1e-6
    )


def test_a_useless_list_gets_little_weight() -> None:
    sessions = chains()
    model = Fusion("random=20,sr=20", window=0.3).fit(sessions)
    weights = model.arrays["weights"]
    assert weights.sum() == pytest.approx(1, rel=1e-5) and weights[1] > weights[0]
    assert model.recommend(of_lists([["p", "i3"]], sessions.vocab), 1).ids() == [["i4"]]
    equal = Fusion("random=20,sr=20", window=0.3, weights="equal").fit(sessions)
    assert equal.arrays["weights"].tolist() == [0.5, 0.5]


@pytest.mark.parametrize(("weights", "by_rank"), [([1, -1], 0), ([0, 0], 0), ([np.nan, 1], 0), ([1], 0), ([[1, 1]], 1)])
def test_weights_that_do_not_fit(weights: list[float], by_rank: int) -> None:
    arrays = {"weights": np.array(weights, np.float32), "by_rank": np.array([by_rank], np.uint8)}
    with pytest.raises(DataError, match="weights of a fusion model must"):
        Fusion("sr=1,popular=1").scorer(chains().vocab, [None, None], arrays)  # type: ignore[list-item]


def test_settings() -> None:
    for bad in ({"window": 0.0}, {"questions": 2}, {"constant": 0.0}, {"method": "x"}, {"candidates": "sr=1"}):
        with pytest.raises(SettingsError):
            Fusion(**bad)  # type: ignore[arg-type]
