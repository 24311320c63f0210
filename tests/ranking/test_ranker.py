"""The ranker: what it learns on data whose right answer is known, its inputs, and its trees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import embedrec.ranking.ranker as ranker_module
from embedrec import Ranker
from embedrec.errors import DataError, SettingsError
from embedrec.ranking.candidates import Candidates
from embedrec.ranking.composite import CompositeModel
from embedrec.ranking.explanations import explain
from tests.conftest import of_lists
from tests.ranking.two_kinds import two_kinds

SMALL: dict[str, Any] = {"trees": 30, "min_leaf": 5, "leaves": 8, "window": 0.3}


@pytest.fixture(scope="module")
def reports() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture(scope="module")
def model(reports: list[tuple[str, dict[str, Any]]]) -> CompositeModel:
    recipe = Ranker("sr=20,cooccurrence=20,popular=20", **SMALL)
    return recipe.fit(two_kinds(), threads=2, report=lambda event, **n: reports.append((event, n)))


def test_it_is_better_than_its_parts(model: CompositeModel, reports: list[tuple[str, dict[str, Any]]]) -> None:
    (about,) = (numbers for event, numbers in reports if event == "validation")
    assert about["gain"] > 0 and about["metrics"]["composite"]["recall@20"] >= about["metrics"]["sr"]["recall@20"]
    assert model.recommend(of_lists([["c3", "c4"]], model.vocab), 1).ids() == [["c5"]]
    assert next(numbers["trees"] for event, numbers in reports if event == "ranker") >= 1


def test_contributions_explain_the_score(model: CompositeModel) -> None:
    history = of_lists([["c3", "c4"]], model.vocab)
    results = model.recommend(history, 2)
    why = explain(model, history, results.rows[0])
    assert len(why[0].features) == 3 and why[0].parts["sr"] == 1
    names, values = model.scorer.contributions(history, model.candidates(history))
    assert set(why[0].features) <= set(names)
    base = model.scorer.scores(history, model.candidates(history)) - values.sum(axis=1)
    np.testing.assert_allclose(base, base[0], atol=1e-4)  # SHAP values add up to the score less the mean


def test_negatives_are_a_sample_of_each_question() -> None:
    sizes = np.array([5, 0, 2, 9])
    offsets, one = np.concatenate([[0], np.cumsum(sizes)]), np.zeros((16, 1), np.int32)
    candidates = Candidates(offsets, np.arange(16, dtype=np.int32), one, one.astype(np.float32), (None,))
    drawn = ranker_module._sample(candidates, 3, np.random.default_rng(0))
    assert np.bincount(candidates.question_of[drawn], minlength=4).tolist() == [3, 0, 2, 3]
    assert ranker_module._sample(candidates, len(candidates.items), np.random.default_rng(0)).all()


@pytest.mark.parametrize("cut", [1, 100, 1000])
def test_damaged_trees(model: CompositeModel, cut: int) -> None:
    with pytest.raises(DataError, match="the trees are damaged"):
        model.recipe.from_arrays(model.vocab, {**model.arrays, "trees": model.arrays["trees"][:-cut]})
    with pytest.raises(DataError, match="trees of a ranker must be bytes, but are int64 of shape"):
        model.recipe.from_arrays(model.vocab, {**model.arrays, "trees": np.arange(cut)})


def test_without_lightgbm_training_needs_one_sentence_and_answers_need_nothing(
    model: CompositeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lightgbm", None)
    with pytest.raises(SettingsError) as error:
        Ranker("sr=3,popular=3").fit(two_kinds(20))
    assert str(error.value).startswith("training a ranker needs the package lightgbm")
    assert "pip install 'embedrec[rank]'" in str(error.value)
    loaded = model.recipe.from_arrays(model.vocab, model.arrays)
    history = of_lists([["c3", "c4"]], model.vocab)
    assert loaded.recommend(history, 1).ids() == [["c5"]]
    with pytest.raises(SettingsError, match="the contributions of features needs the package lightgbm"):
        explain(loaded, history, np.array([0]))


@pytest.mark.parametrize("bad", [{"negatives": 0}, {"trees": 0}, {"window": 2.0}, {"candidates": "sr=1"}])
def test_settings(bad: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        Ranker(**bad)
