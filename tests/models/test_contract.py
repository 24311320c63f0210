"""The contract of all models: every recipe of the registry is tested, under the variants that it declares."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest

from embedrec.config import build, settings_of
from embedrec.data import Features, Sessions, Vocab
from embedrec.data.topk import TopK
from embedrec.errors import ArtifactError, SettingsError
from embedrec.index.build import build_index
from embedrec.models import MODELS, SAVED_MODELS, recipe_class, settings_class
from embedrec.models.base import Model
from embedrec.models.gru4rec.recipe import RecurrentModel
from embedrec.models.serialization import load_model, save_model
from embedrec.models.vector_model import VectorModel
from embedrec.storage import artifacts
from tests.conftest import of_lists, read_only, some_embeddings, tiny_sessions

N = 6  # items of the tiny sessions
Case = tuple[str, dict[str, Any]]  # a recipe's name, and settings over its SMALL


def cases(model_class: type = object) -> list[Case]:
    """Every recipe whose models are of that class, with its SMALL settings and with each of its VARIANTS."""
    return [
        (name, settings)
        for name in SAVED_MODELS
        if issubclass(get_type_hints(settings_class(name).from_arrays)["return"], model_class)
        for settings in ({}, *getattr(settings_class(name), "VARIANTS", ()))
    ]


def label(case: Case) -> str:
    return "-".join([case[0], *map(str, case[1].values())])


def small_recipe(name: str, settings: dict[str, Any]) -> Any:
    cls = settings_class(name)
    return build(cls, {**getattr(cls, "SMALL", {}), **settings}, source="the tests")


def train(name: str, settings: dict[str, Any], seed: int = 0) -> Model:
    """A model of the tiny sessions."""
    recipe, sessions = small_recipe(name, settings), tiny_sessions()
    if str(settings.get("input")).startswith("content"):
        features = Features(sessions.vocab, {"number": read_only(np.arange(N))})
        sessions = dataclasses.replace(sessions, item_features=features)
    if name in MODELS:
        return recipe.fit(sessions, seed=seed, threads=1, report=lambda event, **numbers: None)
    vectors = some_embeddings(N, 4, seed=seed, spread=0.7).vectors
    return recipe.from_arrays(sessions.vocab, {"items": vectors})


@pytest.fixture(params=cases(), ids=label, scope="module")
def make(request: pytest.FixtureRequest) -> Callable[..., Model]:
    return lambda seed=0: train(*request.param, seed=seed)


of_vectors = pytest.mark.parametrize("make", cases(VectorModel), ids=label, indirect=True)


@pytest.fixture(scope="module")
def model(make: Callable[..., Model]) -> Model:
    return make()


def histories(model: Model) -> Sessions:
    """Histories of every kind: usual, of one item, with repeats, empty, of all items, of unknown ones."""
    lists = ["ab", "c", "aaab", "", "abcdef", "xyz", "xay", "fedcba", "e"]
    coded = of_lists(lists).reindex(model.vocab)
    return Sessions(read_only(coded.offsets), read_only(coded.items), coded.vocab, read_only(coded.ids))


def same(a: TopK, b: TopK) -> bool:
    return bool((a.rows == b.rows).all() and (a.scores == b.scores).all())


def partial(model: Model) -> bool:
    """Whether lists may end before k."""
    return getattr(model, "PARTIAL", False)


def test_a_model_implements_the_protocol(model: Model) -> None:
    assert isinstance(model, Model)
    assert dataclasses.is_dataclass(model.recipe) and settings_of(model.recipe) is not None
    assert settings_class(model.recipe.name) is type(model.recipe)
    assert isinstance(model, get_type_hints(model.recipe.from_arrays)["return"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.recipe.name = "other"  # type: ignore[misc]
    with pytest.raises((dataclasses.FrozenInstanceError, AttributeError)):
        model.vocab = Vocab([])  # type: ignore[misc]


def test_names_and_counts_are_kept(model: Model) -> None:
    sessions = tiny_sessions()
    assert sorted(model.vocab.ids) == sorted(sessions.vocab.ids)
    for column in ("names", "counts"):
        expected = dict(zip(sessions.vocab.ids, getattr(sessions.vocab, column), strict=True))
        assert dict(zip(model.vocab.ids, getattr(model.vocab, column), strict=True)) == expected


def test_seen_items_are_excluded(model: Model) -> None:
    queries = histories(model)
    result = model.recommend(queries, N)
    assert result.rows.shape == (len(queries), N) and result.vocab is model.vocab
    for q in range(len(queries)):
        unseen = set(range(N)) - set(queries[q].tolist())
        valid = result.rows[q][result.rows[q] >= 0].tolist()
        assert len(set(valid)) == len(valid) and set(valid) <= unseen  # each once, and missing ones at the end
        assert (result.rows[q][len(valid) :] == -1).all()
        assert len(valid) == len(unseen) or partial(model)
    assert np.isfinite(result.scores[result.rows >= 0]).all()


def test_seen_items_may_be_included(model: Model) -> None:
    queries = histories(model)
    result = model.recommend(queries, N, exclude_seen=False)
    assert (np.sort(result.rows, axis=1) == np.arange(N)).all() or partial(model)
    unseen = model.recommend(queries, N)
    for q in range(len(queries)):  # the same order, with and without
        kept = [(r, s) for r, s in zip(result.rows[q], result.scores[q], strict=True) if r not in {-1, *queries[q]}]
        valid = unseen.rows[q] >= 0
        assert [r for r, _ in kept] == unseen.rows[q][valid].tolist()
        np.testing.assert_allclose([s for _, s in kept], unseen.scores[q][valid], rtol=1e-5, atol=1e-6)


def test_a_shorter_list_is_the_start_of_a_longer_one(model: Model) -> None:
    queries = histories(model)
    whole = model.recommend(queries, N)
    for k in range(1, N):
        assert (model.recommend(queries, k).rows == whole.rows[:, :k]).all()


def test_a_history_has_the_same_results_alone_and_in_a_batch(model: Model) -> None:
    queries = histories(model)
    batch = model.recommend(queries, 3)
    for q in range(len(queries)):
        alone = model.recommend(queries.take(np.array([q])), 3)
        assert (alone.rows[0] == batch.rows[q]).all()
        np.testing.assert_allclose(alone.scores[0], batch.scores[q], rtol=1e-5, atol=1e-6)


def test_unknown_items_change_nothing(model: Model) -> None:
    known, strange = (of_lists(lists).reindex(model.vocab) for lists in (["a", ""], ["xay", "xyz"]))
    assert same(model.recommend(known, 3), model.recommend(strange, 3))


def test_an_empty_history_has_results(model: Model) -> None:
    empty = of_lists([[], []], model.vocab)
    result = model.recommend(empty, 2)
    assert ((result.rows >= 0) == (not partial(model))).all()
    assert (result.rows[0] == result.rows[1]).all()
    none = of_lists([], model.vocab)
    assert model.recommend(none, 2).rows.shape == (0, 2)


@pytest.mark.parametrize("exclude_seen", [False, True])
def test_k_out_of_range_is_refused(model: Model, exclude_seen: bool) -> None:
    for k in (0, -1, N + 1):
        with pytest.raises(SettingsError, match=f"k must be between 1 and {N}, the number of items, but is {k}"):
            model.recommend(histories(model), k, exclude_seen=exclude_seen)


def test_arrays_are_not_written(make: Callable[..., Model]) -> None:
    """Neither the inputs nor the arrays of the model are writable."""
    model = make()
    for array in model.arrays.values():
        if array.flags.owndata:
            array.flags.writeable = False
    before = {name: array.copy() for name, array in model.arrays.items()}
    model.recommend(histories(model), 3)
    model.recommend(histories(model), 3, exclude_seen=False)
    assert all(model.arrays[name].tobytes() == array.tobytes() for name, array in before.items())


def test_a_trained_model_equals_that_of_its_arrays(model: Model) -> None:
    again = model.recipe.from_arrays(model.vocab, {name: read_only(a) for name, a in model.arrays.items()})
    assert type(again) is type(model)
    assert same(again.recommend(histories(model), N), model.recommend(histories(model), N))


def test_a_loaded_model_equals_the_saved_one(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "m", {"seed": 0})
    artifact = artifacts.read(tmp_path / "m", "model")
    artifact.check()
    loaded = load_model(artifact)
    assert type(loaded) is type(model) and loaded.recipe == model.recipe
    assert loaded.arrays.keys() == model.arrays.keys()
    for name, array in model.arrays.items():
        assert loaded.arrays[name].dtype == array.dtype
        assert loaded.arrays[name].tobytes() == array.tobytes()
        assert not loaded.arrays[name].flags.writeable
    for column in ("ids", "names", "counts"):
        assert getattr(loaded.vocab, column).tolist() == getattr(model.vocab, column).tolist()
    for exclude_seen in (False, True):
        before, after = (m.recommend(histories(model), N, exclude_seen=exclude_seen) for m in (model, loaded))
        assert same(before, after)
    save_model(loaded, tmp_path / "again", {"seed": 0})
    assert artifacts.read(tmp_path / "again").fingerprint == artifact.fingerprint
    assert artifact.about["items"] == N and artifact.about["settings"] == settings_of(model.recipe)


def test_arrays_that_do_not_fit_the_vocabulary_are_refused(model: Model, tmp_path: Path) -> None:
    assert model.arrays
    for name in model.arrays:
        shorter = {**model.arrays, name: model.arrays[name][:-1]}
        with artifacts.writing(tmp_path / "m", "model", {}) as draft:
            save_model(model, tmp_path / "good", {})
            for file in (tmp_path / "good").iterdir():
                if file.name != artifacts.MANIFEST:
                    draft.path(file.name).write_bytes(file.read_bytes())
            draft.array(name, shorter[name])
            draft.about.update(artifacts.read(tmp_path / "good").about)
        with pytest.raises(ArtifactError, match="cannot be opened"):
            load_model(artifacts.read(tmp_path / "m"))


def test_all_randomness_comes_from_the_seed(make: Callable[..., Model]) -> None:
    one, same_seed, other = make(seed=1), make(seed=1), make(seed=2)
    for name, array in one.arrays.items():
        assert array.tobytes() == same_seed.arrays[name].tobytes()
    projected = getattr(one.recipe, "candidates", None) == "ann"
    questions = "trees" in one.arrays  # a ranker learns from questions that are drawn
    drawn = isinstance(one, VectorModel) or "seed" in one.arrays or projected or questions  # others use no randomness
    assert drawn == any(a.tobytes() != other.arrays[name].tobytes() for name, a in one.arrays.items())
    np.random.seed(0)
    before = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    make(seed=3)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index, union-attr]


def test_results_of_several_threads_are_equal(model: Model) -> None:
    queries, failed = histories(model), []
    expected = model.recommend(queries, 4)

    def recommend() -> None:
        for _ in range(10):
            if not same(model.recommend(queries, 4), expected):
                failed.append(1)

    threads = [threading.Thread(target=recommend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


@pytest.mark.parametrize("name", list(MODELS))
def test_training_reports_epochs_in_order(name: str) -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    recipe = small_recipe(name, {})
    recipe.fit(tiny_sessions(), seed=0, threads=2, report=lambda event, **n: events.append((event, n)))
    epochs = [n["epoch"] for event, n in events if event == "epoch"]
    assert epochs == list(range(1, len(epochs) + 1))
    assert bool(epochs) == hasattr(recipe, "epochs")
    composite = {"part", "fusion", "ranker", "weights", "validation"}
    assert {event for event, _ in events} <= {"vocabulary", "epoch", "progress", "best", *composite}
    assert all({"done", "total", "unit"} == set(n) for event, n in events if event == "progress")


# ------------------------------------------------------------------------- models with vectors, beyond that


@of_vectors
def test_encode_makes_session_vectors(model: VectorModel) -> None:
    sessions = of_lists(["ab", "xyz", "bxa", ""])
    encoded = model.encode(sessions)
    assert encoded.vocab.ids.tolist() == [0, 1, 2, 3]
    assert encoded.metric in (model.embeddings.metric, "cosine") and encoded.dim == model.embeddings.dim
    assert not encoded.vectors[[1, 3]].any() and encoded.vectors[0].any()
    alone = model.encode(of_lists(["c"]))
    assert len(alone.search(model.embeddings.vectors, 1)) == N
    nearest = model.embeddings.search(alone.vectors, 1).ids()
    state = isinstance(model, RecurrentModel) or getattr(model.recipe, "query", "") == "last"  # near the next item
    if model.embeddings.metric != "dot" and not state:  # the item is nearest to a history of it alone
        assert nearest == [["c"]]


@of_vectors
def test_using_an_index_is_the_same_model(model: VectorModel) -> None:
    queries = histories(model)
    using = model.using(build_index(model.answers, "flat"))
    for exclude_seen in (False, True):
        exact, indexed = (m.recommend(queries, N, exclude_seen=exclude_seen) for m in (model, using))
        np.testing.assert_allclose(exact.scores, indexed.scores, rtol=1e-4, atol=1e-5)
        for q in np.flatnonzero(queries.lengths):  # all items tie for an empty history
            assert (exact.rows[q] == indexed.rows[q]).all()
    other = build_index(some_embeddings(N, model.embeddings.dim), "flat")
    with pytest.raises(SettingsError, match="built from another vocabulary"):
        model.using(other)
    metric: Any = "l2" if model.answers.metric != "l2" else "dot"
    with pytest.raises(SettingsError, match=f"the index compares by {metric}"):
        model.using(dataclasses.replace(model.answers, metric=metric))


def test_every_recipe_has_a_name_and_defaults() -> None:
    for name in MODELS:
        assert recipe_class(name)().name == name
