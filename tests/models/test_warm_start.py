"""Warm starts of every model that trains: with and without changes, with new and with gone items."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data import Features, Sessions, Vocab
from embedrec.data.session_changes import session_changes
from embedrec.errors import SettingsError
from embedrec.models import MODELS, recipe_class
from embedrec.models.alignment import rotate_model
from embedrec.models.base import ExactIncrement
from embedrec.models.torch_recipe import is_torch_recipe
from embedrec.models.vector_model import VectorModel
from embedrec.models.warm_start import context_means, start_rows
from embedrec.training.context import TrainingContext
from tests.models.test_contract import Case, label, small_recipe

LISTS = np.random.default_rng(0).integers(0, 30, (60, 5)).tolist()
GONE, FRESH = 100, 200  # an item of the first sessions only, and one of the last only
FIRST, LAST = [[GONE, 1, 2], [2, GONE, 1]], [[FRESH, 3, 4], [3, FRESH, 4], [1, FRESH, 3, 4]]
EVERY = Sessions.of_lists([*FIRST, *LISTS, *LAST])
TRAINED = [  # svd has the eigenvectors of the new matrix, not vectors near the old ones: see its own tests
    (name, settings)
    for name, entry in MODELS.items()
    if entry.warm_start and not issubclass(recipe_class(name), ExactIncrement) and name != "svd"
    for settings in ({}, *recipe_class(name).VARIANTS)
    if settings.get("input") != "content-mlp"
]


def days() -> tuple[Sessions, Sessions]:
    """Sessions of two days; the item GONE leaves, FRESH comes."""
    rng = np.random.default_rng(1)
    features = Features(EVERY.vocab, {"number": rng.normal(size=len(EVERY.vocab))})
    every = dataclasses.replace(EVERY, users=np.arange(len(EVERY)) % 7, item_features=features)
    old, new = every.take(np.arange(50)), every.take(np.arange(2, len(EVERY)))
    return old.drop_unused_items(), new.drop_unused_items()


def cosines(old: VectorModel, new: VectorModel) -> np.ndarray:
    """Of the items of both, in the order of the new ones."""
    rows = old.vocab.rows_of(new.vocab.ids)
    a, b = new.embeddings.vectors[rows >= 0], old.embeddings.vectors[rows[rows >= 0]]
    return np.asarray((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))


def equal(a: Any, b: Any) -> bool:
    return a.arrays.keys() == b.arrays.keys() and all((a.arrays[k] == b.arrays[k]).all() for k in a.arrays)


@pytest.fixture(params=TRAINED, ids=label, scope="module")
def first(request: pytest.FixtureRequest) -> Iterator[VectorModel]:
    """A model of the first day; features only where they are the input."""
    yield small_recipe(*request.param).fit(without_features(days()[0], request.param), seed=0)


def without_features(sessions: Sessions, case: Case) -> Sessions:
    needed = str(case[1].get("input")).startswith("content")
    return sessions if needed else dataclasses.replace(sessions, item_features=None)


def second(first: VectorModel) -> tuple[Sessions, Sessions]:
    case = (first.recipe.name, {"input": getattr(first.recipe, "input", "")})
    old, new = days()
    return without_features(old, case), without_features(new, case)


def test_a_warm_start_with_changes_stays_near_the_model(first: VectorModel) -> None:
    old, new = second(first)
    recipe: Any = first.recipe
    model = recipe.continuing(changes=True).fit(new, seed=1, init=first, changes=session_changes(old, new))
    ids, counted = set(model.vocab.ids.tolist()), set(model.vocab.ids[model.vocab.counts > 0].tolist())
    assert FRESH in counted and GONE not in counted and counted == set(new.vocab.ids.tolist())
    assert ids == counted or new.item_features is not None  # items of features only
    assert np.isfinite(model.embeddings.vectors).all()
    assert np.median(cosines(first, model)) > 0.8
    assert not equal(model, first)
    assert (model.vocab.counts[model.vocab.rows_of(new.vocab.ids)] == np.bincount(new.items)).all()
    again = recipe.continuing(changes=True).fit(new, seed=1, init=first, changes=session_changes(old, new))
    assert equal(model, again)
    assert model.recommend(new.take(np.arange(3)), 5).rows.shape == (3, 5)


def test_a_warm_start_without_changes_trains_on_all_sessions(first: VectorModel) -> None:
    _, new = second(first)
    recipe: Any = first.recipe
    model = recipe.continuing().fit(new, seed=1, init=first)
    assert set(new.vocab.ids.tolist()) <= set(model.vocab.ids.tolist())
    assert np.isfinite(model.embeddings.vectors).all()
    assert equal(model, recipe.continuing().fit(new, seed=1, init=first))


def test_settings_of_a_warm_start_are_those_of_the_next_one(first: VectorModel) -> None:
    recipe: Any = first.recipe
    for changes in (False, True):
        once = recipe.continuing(changes=changes)
        assert once.continuing(changes=changes) == once


def test_a_model_of_another_kind_and_foreign_changes_are_refused(first: VectorModel) -> None:
    old, new = second(first)
    recipe: Any = first.recipe
    other = "mf" if recipe.name == "word2vec" else "word2vec"
    with pytest.raises(SettingsError, match=f"^{other} cannot continue a model of {recipe.name}; give a model of"):
        small_recipe(other, {}).fit(new, init=first)
    with pytest.raises(SettingsError, match=r"^changes need the model of the old sessions; give it as init$"):
        recipe.fit(new, changes=session_changes(old, new))
    with pytest.raises(SettingsError, match=r"^changes lead to 63 sessions of 310 events, but given are 50 of 246; "):
        recipe.fit(old, init=first, changes=session_changes(old, new))


@pytest.mark.parametrize("name", ["mf", "two-tower", "neural-cf", "sasrec"])
def test_another_size_is_refused(name: str) -> None:
    old, new = days()
    model = small_recipe(name, {}).fit(old)
    with pytest.raises(SettingsError, match=rf"^a {name} model of dim=8 cannot be continued with dim=4; leave it as"):
        small_recipe(name, {"dim": 4}).fit(new, init=model)


def test_layers_of_features_that_are_not_kept_are_refused() -> None:
    old, new = days()
    recipe = small_recipe("gru4rec", {"layers": "3", "input": "content-mlp"})
    with pytest.raises(SettingsError, match="input=content-mlp does not keep the layers of its input"):
        recipe.fit(new, init=recipe.fit(old))


@pytest.mark.parametrize("name", ["two-tower", "sasrec"])
def test_features_and_users_start_as_they_ended(name: str) -> None:
    """Without a step the items with events have their old vectors, though ids and features share them."""
    old, _ = days()
    recipe = small_recipe(name, {"users": True, "learning_rate": 1e-9, "layer_rate": 1e-9})
    model = recipe.fit(old, seed=0)
    again = recipe.continuing().fit(old, seed=5, init=model)
    warm = model.arrays["cold"] == 0
    np.testing.assert_allclose(again.arrays["items"][warm], model.arrays["items"][warm], atol=1e-4)
    assert np.median(cosines(model, again)[~warm]) > 0.9  # cold items have what features explain
    np.testing.assert_allclose(again.arrays["users"], model.arrays["users"], atol=1e-4)
    histories = old.take(np.arange(9))
    np.testing.assert_allclose(again.encoder(histories), model.encoder(histories), atol=1e-3)


@pytest.mark.parametrize("case", [c for c in TRAINED if "content" not in str(c[1])], ids=label)
def test_a_rotated_model_is_continued_in_its_space(case: Case) -> None:
    old, new = (without_features(sessions, case) for sessions in days())
    model: VectorModel = small_recipe(*case).fit(old, seed=0)
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(model.embeddings.dim,) * 2))[0].astype(np.float32)
    turned = rotate_model(model, rotation)
    recipe: Any = turned.recipe
    changes = session_changes(old, new)
    after, plain = (
        recipe.continuing(changes=True).fit(new, seed=1, init=init, changes=changes) for init in (turned, model)
    )
    assert np.median(cosines(turned, after)) > 0.8
    histories = new.take(np.arange(20)).reindex(after.vocab)
    scores = [(m.encoder(histories) @ m.answers.vectors.T).ravel() for m in (after, plain)]
    assert np.corrcoef(scores)[0, 1] > 0.8


@pytest.mark.parametrize("name", ["two-tower", "sasrec", "gru4rec"])
def test_an_interrupted_warm_start_resumes_with_the_same_bytes(name: str, tmp_path: Path) -> None:
    old, new = (without_features(sessions, (name, {})) for sessions in days())
    model = small_recipe(name, {}).fit(old, seed=0)
    recipe = model.recipe.continuing(changes=True)
    assert is_torch_recipe(recipe)
    start = {"seed": 1, "init": model, "changes": session_changes(old, new)}
    whole = recipe.fit(new, **start)

    def stop(event: str, **numbers: Any) -> None:
        if event == "epoch" and numbers["epoch"] == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recipe.fit(new, **start, context=TrainingContext(checkpoint=tmp_path / "c"), report=stop)
    resumed = recipe.fit(new, **start, context=TrainingContext(checkpoint=tmp_path / "c", resume=True))
    assert equal(whole, resumed)
    other = small_recipe(name, {}).fit(old, seed=3)
    with pytest.raises(SettingsError, match="belongs to another training \\(start differ\\)"):
        recipe.fit(
            new,
            seed=1,
            init=other,
            changes=start["changes"],
            context=TrainingContext(checkpoint=tmp_path / "c", resume=True),
        )


def test_new_items_start_with_the_mean_of_their_contexts() -> None:
    sessions = Sessions.of_lists([list("abXc"), list("Xa"), list("YZ")], Vocab(["a", "b", "c", "X", "Y", "Z"]))
    vectors = np.diag([1.0, 2.0, 3.0, 9.0, 9.0, 9.0]).astype(np.float32)
    known = np.array([True, True, True, False, False, False])
    means, counts = context_means(sessions, vectors, known)
    assert counts.tolist() == [0, 0, 0, 4, 0, 0]
    np.testing.assert_allclose(means[3], [0.5, 0.5, 0.75, 0, 0, 0])
    started = start_rows(np.full((6, 6), 7, np.float32), sessions.vocab, vectors[:3], Vocab(["a", "b", "c"]), sessions)
    np.testing.assert_allclose(started[:3], vectors[:3])
    np.testing.assert_allclose(started[3], means[3])
    assert (started[4:] == 7).all()
