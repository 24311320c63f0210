"""The matrix factorisation recipe: vectors of new histories, quality, popularity, and invalid input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data import Sessions
from embedrec.errors import DataError, SettingsError
from embedrec.evaluation.evaluate import EvaluationSettings, evaluate
from embedrec.models.baselines.popular import Popular
from embedrec.models.factorization.mf import MatrixFactorisation
from embedrec.models.torch_recipe import choose_device, fit_recipe
from embedrec.progress import quiet
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.test_cases import next_items
from embedrec.training.context import TrainingContext
from tests.conftest import of_lists, tiny_sessions
from tests.models.factorization.dense_least_squares import PLAYS, dense_cells, dense_solution, random_sessions
from tests.models.planted_groups import SIZE, clusters, purity


@pytest.mark.parametrize("plays", PLAYS)
@pytest.mark.parametrize("dim", [3, 16])
def test_a_new_history_has_the_optimal_vector(plays: Any, dim: int) -> None:
    sessions, fresh = random_sessions(), random_sessions(20, seed=8)
    recipe = MatrixFactorisation(dim=dim, plays=plays, decay=1.0, regularisation=0.05)
    model = recipe.fit(sessions)
    objective = recipe.objective(float(model.arrays["unobserved"][0]))
    w = dense_cells(fresh.reindex(model.vocab), plays)
    expected = dense_solution(objective, w, model.arrays["items"].astype(np.float64))
    np.testing.assert_allclose(model.encode(fresh).vectors, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("change", [{}, {"nu": 0.0, "regularisation": 1.0}, {"dim": 100}, {"epochs": 15}, {"steps": 1}])
def test_als_finds_planted_groups(change: dict[str, Any]) -> None:
    model = MatrixFactorisation(**{"dim": 16, **change}).fit(clusters(), seed=1, threads=2)
    assert purity(model) > 0.9
    histories = of_lists([[0, 1, 2], [50, 51]], model.vocab)
    assert (model.recommend(histories, 5).rows // SIZE == [[0], [4]]).mean() > 0.8


def test_als_beats_popularity() -> None:
    train, held = clusters(), clusters(seed=1, count=100)
    questions = next_items(HeldOut(held, np.zeros(len(held)))).reindex(train.vocab)
    mf, popular = (
        evaluate(recipe.fit(train), questions, train, EvaluationSettings(at=(10,), draws=0)).metrics["recall@10"]
        for recipe in (MatrixFactorisation(dim=16), Popular())
    )
    assert mf > 0.5 > 3 * popular


def test_popularity_goes_from_the_cosine_to_the_dot_product() -> None:
    recipe, histories = MatrixFactorisation(dim=6, min_count=1), tiny_sessions()
    models = {share: replace(recipe, popularity=share).fit(tiny_sessions()) for share in (0.0, 0.5, 1.0)}
    assert [m.answers.metric for m in models.values()] == ["cosine", "dot", "dot"]
    assert {m.embeddings.metric for m in models.values()} == {"cosine"}
    queries, items = models[1.0].encoder(histories), models[1.0].arrays["items"]
    answer = models[1.0].recommend(histories, 6, exclude_seen=False)
    expected = np.take_along_axis(queries @ items.T, answer.rows, 1)
    np.testing.assert_allclose(answer.scores, expected, rtol=1e-4, atol=1e-5)


def test_by_similarity_returns_the_neighbours_of_an_item() -> None:
    model = MatrixFactorisation(dim=6, min_count=1).fit(tiny_sessions())
    alone = Sessions(np.arange(7), np.arange(6), model.vocab, np.arange(6))
    result, nearest = model.by_similarity().recommend(alone, 5), model.neighbours(np.arange(6), 5)
    assert (result.rows == nearest.rows).all()


def test_min_count() -> None:
    model = MatrixFactorisation(dim=4).fit(of_lists([["a", "b", "a"], ["a", "b", "c"], []]))
    assert model.vocab.ids.tolist() == ["a", "b"] and model.vocab.counts.tolist() == [3, 2]  # type: ignore[union-attr]


@pytest.mark.parametrize("lists", [[["a"]], [["a", "a"], []], [["a", "b"]] * 3])
def test_minimal_training_data(lists: list[list[str]]) -> None:
    model = MatrixFactorisation(min_count=1).fit(of_lists(lists))
    assert np.isfinite(model.arrays["items"]).all() and model.arrays["items"].any()


def test_no_training_data_is_an_error() -> None:
    with pytest.raises(DataError, match=r"none of the 2 items is mentioned min_count=2 times .*; lower min_count"):
        MatrixFactorisation().fit(of_lists(["ab"]))


def test_threads_below_one_are_refused() -> None:
    with pytest.raises(SettingsError, match="threads must be at least 1, but is 0"):
        MatrixFactorisation().fit(tiny_sessions(), threads=0)


def test_arrays_that_do_not_fit_are_refused() -> None:
    vocab, items = tiny_sessions().vocab, np.ones((6, 3), dtype=np.float32)
    recipe = MatrixFactorisation(dim=3)
    for wrong in (items[:5], items[:, :2], items.astype(np.float64)):
        with pytest.raises(DataError, match=r"6 items need float32 vectors of shape \(6, 3\)"):
            recipe.from_arrays(vocab, {"items": wrong, "unobserved": np.ones(1)})
    for weight in (np.ones(2), np.zeros(1), np.full(1, np.inf), np.full(1, np.nan)):
        with pytest.raises(DataError, match="the weight of a pair must be one positive number"):
            recipe.from_arrays(vocab, {"items": items, "unobserved": weight})


@pytest.mark.parametrize(
    "change", [{"loss": "bpr"}, {"loss": "bpr", "ns_exponent": 0.5, "negatives": 1}, {"loss": "logistic"}], ids=str
)
def test_pairwise_losses_find_planted_groups(change: dict[str, Any]) -> None:
    rate = {"learning_rate": 0.03, "weight_decay": 0.01} if change["loss"] == "logistic" else {}
    model = MatrixFactorisation(dim=16, batch=256, **{"epochs": 15, **rate, **change}).fit(clusters(), seed=1)
    assert purity(model) > 0.9


@pytest.mark.parametrize("loss", ["bpr", "logistic"])
def test_pairwise_losses_beat_popularity(loss: Any) -> None:
    rate = {"learning_rate": 0.03, "weight_decay": 0.01} if loss == "logistic" else {}
    train, held = clusters(), clusters(seed=1, count=100)
    questions = next_items(HeldOut(held, np.zeros(len(held)))).reindex(train.vocab)
    recipe = MatrixFactorisation(loss=loss, dim=16, batch=256, epochs=15, **rate)
    result, popular = (
        evaluate(r.fit(train), questions, train, EvaluationSettings(at=(10,), draws=0)).metrics["recall@10"]
        for r in (recipe, Popular())
    )
    assert result > 0.5 > 3 * popular


def test_only_als_has_no_device_and_no_checkpoint() -> None:
    als, bpr = MatrixFactorisation(), MatrixFactorisation(dim=8, min_count=1, loss="bpr", epochs=1)
    given: dict[str, Any] = {"seed": 0, "threads": 1, "report": quiet}
    for context in (TrainingContext("cuda"), TrainingContext(checkpoint=Path("c"), resume=True)):
        with pytest.raises(
            SettingsError, match="mf with these settings trains in one process on the CPU, without checkpoints"
        ):
            fit_recipe(als, tiny_sessions(), **given, context=context)
        with pytest.raises(
            SettingsError, match="mf with these settings trains in one process on the CPU, without checkpoints"
        ):
            als.fit(tiny_sessions(), context=context)
    assert choose_device(als, "auto") == choose_device(bpr, "cpu") == "cpu"
    with pytest.raises(SettingsError, match="mf with these settings trains on the CPU only; leave --device out"):
        choose_device(als, "cuda")
    assert len(fit_recipe(bpr, tiny_sessions(), **given, context=TrainingContext("cpu")).vocab) == 6


@pytest.fixture(params=["bpr", "logistic"])
def recipe(request: pytest.FixtureRequest) -> Iterator[MatrixFactorisation]:
    yield MatrixFactorisation(loss=request.param, dim=3, min_count=9)


def test_too_few_mentions_for_pairs_are_refused(recipe: MatrixFactorisation) -> None:
    with pytest.raises(DataError, match="min_count=9"):
        recipe.fit(tiny_sessions())


def test_arrays_of_pairwise_models_that_do_not_fit_are_refused(recipe: MatrixFactorisation) -> None:
    vocab, items = tiny_sessions().vocab, np.ones((6, 3), dtype=np.float32)
    for wrong in (items[:5], items[:, :2], items.astype(np.float64)):
        with pytest.raises(DataError, match=r"6 items need float32 vectors of shape \(6, 3\)"):
            recipe.from_arrays(vocab, {"items": wrong})
