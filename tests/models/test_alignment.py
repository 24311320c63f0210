"""The same model in another space: every recipe with vectors, under the variants that it declares."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec import MatrixFactorisation, Spectral, TwoTower, Word2Vec
from embedrec.data import Vocab
from embedrec.data.topk import TopK
from embedrec.errors import SettingsError
from embedrec.models.alignment import RotatableRecipe, align_model, common_counts, rotate_model
from embedrec.models.gru4rec.recipe import RecurrentModel
from embedrec.models.onnx_graph import OnnxGraph, OnnxRecipe
from embedrec.models.serialization import load_model, save_model
from embedrec.models.vector_model import VectorModel
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.procrustes import rotate
from tests.conftest import some_embeddings
from tests.models.onnx import run_graph
from tests.models.test_contract import N, cases, histories, label, small_recipe, train
from tests.training.toy import clustered_sessions
from tests.vectors.test_procrustes import turn


@pytest.fixture(params=cases(VectorModel), ids=label, scope="module")
def model(request: pytest.FixtureRequest) -> VectorModel:
    trained = train(*request.param)
    assert isinstance(trained, VectorModel)
    return trained


def close(one: TopK, other: TopK) -> None:
    """Equal scores at every place, whichever of several equal items stands there."""
    np.testing.assert_allclose(one.scores, other.scores, rtol=1e-5, atol=1e-5)


def test_a_rotation_changes_no_score(model: VectorModel, tmp_path: Path) -> None:
    d = model.embeddings.dim
    assert isinstance(model.recipe, RotatableRecipe)
    for once in (rotate_model(model, turn(d)), rotate_model(rotate_model(model, turn(d)), turn(d, 2))):
        queries = histories(model)
        for exclude_seen in (True, False):
            close(*(m.recommend(queries, N, exclude_seen=exclude_seen) for m in (model, once)))
        close(*(m.neighbours(np.arange(N), N - 1) for m in (model, once)))
        close(*(m.by_similarity().recommend(queries, N) for m in (model, once)))
    twice = turn(d) @ turn(d, 2)
    np.testing.assert_allclose(once.embeddings.vectors, model.embeddings.vectors @ twice, atol=1e-5)
    np.testing.assert_allclose(once.encode(queries).vectors, model.encode(queries).vectors @ twice, atol=1e-5)
    assert once.embeddings.vectors.tobytes() != model.embeddings.vectors.tobytes()
    save_model(once, tmp_path / "m", {})
    loaded = load_model(tmp_path / "m")
    assert isinstance(loaded, VectorModel)
    assert loaded.embeddings.vectors.tobytes() == once.embeddings.vectors.tobytes()
    assert loaded.recommend(queries, N).scores.tobytes() == once.recommend(queries, N).scores.tobytes()


def test_a_rotated_model_is_brought_back(model: VectorModel) -> None:
    back, fit = align_model(rotate_model(model, turn(model.embeddings.dim)), model)
    np.testing.assert_allclose(back.embeddings.vectors, model.embeddings.vectors, atol=1e-5)
    assert fit.low == pytest.approx(1, abs=1e-5)


def test_live_states_of_a_rotated_network() -> None:
    model = train("gru4rec", {"layers": "4,5"})
    assert isinstance(model, RecurrentModel)
    turned = rotate_model(model, turn(5))
    one, other = model.start(2), turned.start(2)
    for rows in ([0, 1], [2, -1], [-1, 3]):
        one, other = model.step(one, np.array(rows)), turned.step(other, np.array(rows))
        np.testing.assert_allclose(rotate(one.queries[:, :-1], turn(5)), other.queries[:, :-1], atol=1e-6)
        assert (one.queries[:, -1] == other.queries[:, -1]).all()


ENCODED = [case for case in cases(VectorModel) if case[0] in ("two-tower", "gru4rec", "sasrec")]


@pytest.mark.parametrize("case", ENCODED, ids=label)
def test_the_onnx_encoder_of_a_rotated_model(case: Any) -> None:
    model = train(*case)
    assert isinstance(model, VectorModel)
    turned = rotate_model(model, turn(model.embeddings.dim))
    assert isinstance(turned.recipe, OnnxRecipe)
    queries, graph = histories(model), OnnxGraph()
    inputs = {"user": np.full(len(queries), -1)} if "users" in model.arrays else {}
    query = turned.recipe.add_onnx_encoder(graph, turned)
    got = run_graph(graph, query, turned.answers.dim, [queries[q].tolist() for q in range(len(queries))], **inputs)
    np.testing.assert_allclose(got, turned.encoder(queries), atol=1e-5)


def test_the_vectors_of_users_rotate() -> None:
    plain = clustered_sessions(20)
    for name in ("two-tower", "sasrec"):
        sessions = dataclasses.replace(plain, users=np.array([f"u{s % 4}" for s in range(len(plain))], dtype=object))
        model = small_recipe(name, {"users": True, "patience": None}).fit(sessions)
        assert "users" in model.arrays
        turned = rotate_model(model, turn(model.embeddings.dim))
        close(*(m.recommend(sessions, 5) for m in (model, turned)))


@pytest.mark.parametrize(
    ("recipe", "least"),
    [
        (Word2Vec(dim=8, epochs=40, min_count=1, sample=0.0), 0.95),
        (Spectral(dim=6, min_count=1), 0.99),
        (MatrixFactorisation(dim=6, min_count=1), 0.9),
        (TwoTower(dim=8, epochs=30, patience=None), 0.8),
    ],
    ids=["word2vec", "svd", "mf", "two-tower"],
)
def test_two_trainings_are_near_each_other_in_one_space(recipe: Any, least: float) -> None:
    """Items of clear groups, and trainings with other seeds: aligned, an item is near itself."""
    sessions = clustered_sessions(200)
    one, other = recipe.fit(sessions, seed=0), recipe.fit(sessions, seed=1)
    aligned, fit = align_model(other, one)
    assert fit.median > least, fit
    before = other.embeddings.search(one.embeddings.vectors, 1)
    after = aligned.embeddings.search(one.embeddings.vectors, 1)
    assert np.median(after.scores) > 0.9 * np.median(before.scores)
    close(aligned.recommend(sessions, 5), other.recommend(sessions, 5))


def test_weights_of_items_are_the_fewer_mentions() -> None:
    one = Embeddings(np.eye(3), Vocab(["a", "b", "c"], counts=np.array([5, 2, 9])))
    other = Embeddings(np.eye(3), Vocab(["b", "a", "x"], counts=np.array([1, 7, 3])))
    bare = Embeddings(np.eye(3), Vocab(["a", "b", "c"]))
    assert common_counts(one, other).tolist() == [5, 1, 0]
    assert common_counts(one, bare).tolist() == [5, 2, 9] and common_counts(bare, other).tolist() == [7, 1, 0]
    assert common_counts(bare, bare).tolist() == [1, 1, 1]


def test_a_reference_of_other_dimensions_is_refused() -> None:
    model = train("two-tower", {})
    assert isinstance(model, VectorModel)
    with pytest.raises(SettingsError, match="the vectors have 8 dimensions, but the space has 5; train with dim=5"):
        align_model(model, some_embeddings(N, 5))
