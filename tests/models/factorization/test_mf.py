"""Matrix factorisation by ALS: against a dense twin, histories nobody trained on, and what it finds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embedrec.data import Sessions, Vocab
from embedrec.errors import DataError, EmbedrecError, SettingsError
from embedrec.evaluation.evaluate import EvaluationSettings, evaluate
from embedrec.models.baselines.popular import Popular
from embedrec.models.factorization import least_squares
from embedrec.models.factorization.least_squares import Objective, Side, cells, fold_in
from embedrec.models.factorization.mf import MatrixFactorisation
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.test_cases import next_items
from tests.conftest import of_lists, tiny_sessions
from tests.models.word2vec.test_recipe import SIZE, clusters, purity

PLAYS = ("each", "once", "log")


def drawn(count: int = 40, n: int = 15, seed: int = 0) -> Sessions:
    """Sessions with repeats, some of them empty."""
    rng = np.random.default_rng(seed)
    lists = [rng.integers(0, n, rng.integers(0, 12)).tolist() for _ in range(count)]
    return of_lists([*lists, list(range(n))], Vocab(np.arange(n)))


def dense_cells(sessions: Sessions, plays: str) -> np.ndarray:
    counts = np.zeros((len(sessions), len(sessions.vocab)))
    for s in range(len(sessions)):
        for row in sessions[s]:
            counts[s, row] += 1
    held = counts > 0
    return {"each": counts, "once": held * 1.0, "log": np.where(held, 1 + np.log(np.where(held, counts, 1)), 0)}[plays]


def dense_ridge(objective: Objective, w: np.ndarray) -> np.ndarray:
    return objective.regularisation * (w.sum(axis=1) + objective.unobserved * w.shape[1]) ** objective.nu


def dense_half(objective: Objective, w: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """The best vectors of rows beside `fixed`, (r, d), every pair written out."""
    ridge = dense_ridge(objective, w)
    out = np.zeros((len(w), fixed.shape[1]))
    for r in range(len(w)):
        a = ridge[r] * np.eye(fixed.shape[1])
        for c, f in enumerate(fixed):
            a += (w[r, c] + objective.unobserved) * np.outer(f, f)
        out[r] = np.linalg.solve(a, w[r] @ fixed)
    return out


def dense_value(objective: Objective, w: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    s = x @ y.T
    pairs = w * (1 - s) ** 2 + objective.unobserved * s**2
    return float(
        pairs.sum() + dense_ridge(objective, w) @ (x**2).sum(axis=1) + dense_ridge(objective, w.T) @ (y**2).sum(axis=1)
    )


@pytest.mark.parametrize("plays", PLAYS)
@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_what_sessions_hold_weighs(plays: Any, decay: float) -> None:
    sessions = drawn()
    found = cells(sessions, plays, decay).toarray()
    if decay == 1:
        np.testing.assert_allclose(found, dense_cells(sessions, plays), rtol=1e-6)
        return
    one = cells(of_lists(["abab"]), plays, decay).toarray()[0]
    factor = {"each": [1.25, 1.25], "once": [1, 1], "log": [1 + np.log(2)] * 2}[plays]
    np.testing.assert_allclose(one, np.multiply(factor, [0.5, 1]), rtol=1e-6)


@pytest.mark.parametrize("nu", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("plays", PLAYS)
def test_half_an_epoch_is_that_of_a_dense_twin(nu: float, plays: Any) -> None:
    sessions = drawn()
    objective = Objective(unobserved=0.07, regularisation=0.2, nu=nu)
    matrix, w = cells(sessions, plays), dense_cells(sessions, plays)
    start = np.random.default_rng(5).normal(0, 0.5, (15, 6)).astype(np.float32)
    rows, items = Side(objective, matrix, np.zeros((len(w), 6), np.float32)), Side(objective, matrix.T.tocsr(), start)
    with ThreadPoolExecutor(2) as pool:
        for side, other, weights in ((rows, items, w), (items, rows, w.T)):
            minima = sum(m.sum() for _, m in side.solve(other, 1000, pool))
            expected = dense_half(objective, weights, other.vectors[:, :6].astype(np.float64))
            np.testing.assert_allclose(side.vectors[:, :6], expected, rtol=1e-3, atol=1e-5)
            assert not side.vectors[:, 6:].any()
            x, y = (s.vectors[:, :6].astype(np.float64) for s in (rows, items))
            assert minima + other.penalty() == pytest.approx(dense_value(objective, w, x, y), rel=1e-5)


@pytest.mark.parametrize(
    "settings", [{}, {"nu": 0.0, "plays": "each"}, {"nu": 0.5, "plays": "once", "unobserved": 1.0}]
)
def test_training_is_that_of_a_dense_twin(settings: dict[str, Any]) -> None:
    """Epoch by epoch the same objective, and the same vectors but for a turn."""
    sessions, losses = drawn(), []
    recipe = replace(MatrixFactorisation(dim=5, epochs=4, regularisation=0.05, min_count=1, steps=1000), **settings)
    model = recipe.fit(sessions, seed=3, report=lambda event, **n: event == "epoch" and losses.append(n["loss"]))
    w = dense_cells(sessions, recipe.plays)
    unobserved = recipe.unobserved * w.sum() / w.size
    assert model.arrays["unobserved"].tolist() == pytest.approx([unobserved])
    objective = recipe.objective(unobserved)
    y = np.random.default_rng(3).normal(0, 0.1 / 5**0.5, (15, 5))
    for loss in losses:
        x = dense_half(objective, w, y)
        y = dense_half(objective, w.T, x)
        assert loss == pytest.approx(dense_value(objective, w, x, y), rel=1e-5)
    items = model.arrays["items"]
    np.testing.assert_allclose(items @ items.T, y @ y.T, rtol=1e-3, atol=1e-4)


def test_items_are_in_their_principal_axes() -> None:
    items = MatrixFactorisation(dim=20, min_count=1).fit(clusters()).arrays["items"].astype(np.float64)
    products = items.T @ items
    diagonal = np.diag(products)
    assert (np.diff(diagonal) <= 1e-6 * diagonal[0]).all()
    assert np.abs(products - np.diag(diagonal)).max() < 1e-5 * diagonal[0]


@pytest.mark.parametrize("plays", PLAYS)
@pytest.mark.parametrize("dim", [3, 16])
def test_a_history_nobody_trained_on_has_the_best_vector(plays: Any, dim: int) -> None:
    sessions, fresh = drawn(), drawn(20, seed=8)
    recipe = MatrixFactorisation(dim=dim, plays=plays, decay=1.0, regularisation=0.05)
    model = recipe.fit(sessions)
    objective = recipe.objective(float(model.arrays["unobserved"][0]))
    w = dense_cells(fresh.reindex(model.vocab), plays)
    expected = dense_half(objective, w, model.arrays["items"].astype(np.float64))
    np.testing.assert_allclose(model.encode(fresh).vectors, expected, rtol=1e-3, atol=1e-5)


def test_folding_in_is_what_training_does() -> None:
    sessions = drawn()
    recipe = MatrixFactorisation(dim=6, decay=1.0, min_count=1)
    model = recipe.fit(sessions)
    objective, items = recipe.objective(float(model.arrays["unobserved"][0])), model.arrays["items"]
    matrix = cells(sessions, recipe.plays)
    rows = Side(objective, matrix, np.zeros((len(sessions), 6), np.float32))
    side = Side(objective, matrix.T.tocsr(), items)
    with ThreadPoolExecutor(1) as pool:
        list(rows.solve(side, 1000, pool))
    found = fold_in(items, objective, recipe.plays)(sessions)
    np.testing.assert_allclose(found @ items.T, (rows.vectors @ side.vectors.T), rtol=1e-3, atol=1e-4)


def test_the_same_bytes_at_any_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(least_squares, "_ROWS", 64)
    monkeypatch.setattr(least_squares, "_AT_ONCE", 200)
    models = [MatrixFactorisation(dim=20).fit(clusters(), seed=2, threads=threads) for threads in (1, 2, 3)]
    assert len({m.arrays["items"].tobytes() for m in models}) == 1


@pytest.mark.parametrize("change", [{}, {"nu": 0.0, "regularisation": 1.0}, {"dim": 100}, {"epochs": 15}, {"steps": 1}])
def test_planted_groups_are_found(change: dict[str, Any]) -> None:
    model = MatrixFactorisation(**{"dim": 16, **change}).fit(clusters(), seed=1, threads=2)
    assert purity(model) > 0.9
    histories = of_lists([[0, 1, 2], [50, 51]], model.vocab)
    assert (model.recommend(histories, 5).rows // SIZE == [[0], [4]]).mean() > 0.8


def test_it_beats_popularity() -> None:
    train, held = clusters(), clusters(seed=1, count=100)
    questions = next_items(HeldOut(held, np.zeros(len(held)))).reindex(train.vocab)
    mf, popular = (
        evaluate(recipe.fit(train), questions, train, EvaluationSettings(at=(10,), draws=0)).metrics["recall@10"]
        for recipe in (MatrixFactorisation(dim=16), Popular())
    )
    assert mf > 0.5 > 3 * popular


def test_the_dial_goes_from_the_cosine_to_the_fitted_product() -> None:
    recipe, asked = MatrixFactorisation(dim=6, min_count=1), tiny_sessions()
    models = {share: replace(recipe, popularity=share).fit(tiny_sessions()) for share in (0.0, 0.5, 1.0)}
    assert [m.answers.metric for m in models.values()] == ["cosine", "dot", "dot"]
    assert {m.embeddings.metric for m in models.values()} == {"cosine"}
    queries, items = models[1.0].encoder(asked), models[1.0].arrays["items"]
    answer = models[1.0].recommend(asked, 6, exclude_seen=False)
    expected = np.take_along_axis(queries @ items.T, answer.rows, 1)
    np.testing.assert_allclose(answer.scores, expected, rtol=1e-4, atol=1e-5)


def test_similar_items_are_asked_by_their_own_vectors() -> None:
    model = MatrixFactorisation(dim=6, min_count=1).fit(tiny_sessions())
    alone = Sessions(np.arange(7), np.arange(6), model.vocab, np.arange(6))
    found, nearest = model.by_similarity().recommend(alone, 5), model.neighbours(np.arange(6), 5)
    assert (found.rows == nearest.rows).all()


def test_progress_ends_at_the_total_and_loss_falls() -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    recipe = MatrixFactorisation(dim=16, epochs=6)
    recipe.fit(clusters(), threads=2, report=lambda event, **numbers: told.append((event, numbers)))
    epochs = [n for event, n in told if event == "epoch"]
    assert [set(e) for e in epochs] == [{"epoch", "epochs", "loss", "seconds"}] * 6
    losses = [e["loss"] for e in epochs]
    assert losses == sorted(losses, reverse=True)
    observed = cells(clusters(), "log").nnz
    done = [n for event, n in told if event == "progress"]
    assert done[-1] == {"done": 12 * observed, "total": 12 * observed, "unit": "cells"}
    assert told[0] == ("vocabulary", {"items": 96, "left_out": 0})


def test_rare_items_are_left_out() -> None:
    model = MatrixFactorisation(dim=4).fit(of_lists([["a", "b", "a"], ["a", "b", "c"], []]))
    assert model.vocab.ids.tolist() == ["a", "b"] and model.vocab.counts.tolist() == [3, 2]  # type: ignore[union-attr]


@pytest.mark.parametrize("lists", [[["a"]], [["a", "a"], []], [["a", "b"]] * 3])
def test_little_to_learn_from(lists: list[list[str]]) -> None:
    model = MatrixFactorisation(min_count=1).fit(of_lists(lists))
    assert np.isfinite(model.arrays["items"]).all() and model.arrays["items"].any()


def test_nothing_to_learn_from() -> None:
    with pytest.raises(DataError, match=r"none of the 2 items is mentioned min_count=2 times .*; lower min_count"):
        MatrixFactorisation().fit(of_lists(["ab"]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "hinge"}, "loss must be one of als, logistic, bpr, but is 'hinge'"),
        ({"dim": 0}, "dim must be between 1 and 65536, but is 0"),
        ({"epochs": 0}, "epochs must be at least 1, but is 0"),
        ({"unobserved": 0.0}, "unobserved must be between 1e-06 and 1e"),
        ({"regularisation": 0.0}, "regularisation must be between 1e-09 and 1e"),
        ({"nu": float("nan")}, "nu must be between 0 and 2, but is nan"),
        ({"plays": "twice"}, "plays must be one of each, once, log, but is 'twice'"),
        ({"deviation": -1.0}, "deviation must be between"),
        ({"steps": 0}, "steps must be between 1 and 1000, but is 0"),
        ({"min_count": 0}, "min_count must be at least 1"),
        ({"decay": 0.0}, "decay must be between"),
        ({"popularity": 1.5}, "popularity must be between 0 and 1, but is 1.5"),
    ],
)
def test_settings_out_of_bounds_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        MatrixFactorisation(**settings)


def test_threads_below_one_are_refused() -> None:
    with pytest.raises(SettingsError, match="threads must be at least 1, but is 0"):
        MatrixFactorisation().fit(tiny_sessions(), threads=0)


def test_an_error_of_the_reader_of_progress_stops_training() -> None:
    class StopHereError(EmbedrecError):
        pass

    def report(event: str, **numbers: object) -> None:
        raise StopHereError

    with pytest.raises(StopHereError):
        MatrixFactorisation(epochs=10**9).fit(clusters(), threads=2, report=report)


def test_arrays_that_do_not_fit() -> None:
    vocab, items = tiny_sessions().vocab, np.ones((6, 3), dtype=np.float32)
    recipe = MatrixFactorisation(dim=3)
    for wrong in (items[:5], items[:, :2], items.astype(np.float64)):
        with pytest.raises(DataError, match=r"6 items need float32 vectors of shape \(6, 3\)"):
            recipe.from_arrays(vocab, {"items": wrong, "unobserved": np.ones(1)})
    for weight in (np.ones(2), np.zeros(1), np.full(1, np.inf), np.full(1, np.nan)):
        with pytest.raises(DataError, match="the weight of a pair must be one positive number"):
            recipe.from_arrays(vocab, {"items": items, "unobserved": weight})
