"""What every model promises. A new recipe in MODELS is covered as soon as it stands there."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from embedrec.models.imported import Vectors
from embedrec.models.serialization import load_model, save_model
from embedrec.models.vector_model import VectorModel
from embedrec.storage import artifacts
from tests.conftest import of_lists, read_only, some_embeddings, tiny_sessions

SMALL: dict[str, Any] = {"dim": 8, "epochs": 3, "min_count": 1, "sample": 0.0}  # of these, what a recipe knows
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in MODELS),
    ("word2vec", {"architecture": "cbow", "vectors": "input", "ordered": False}),
    ("sr", {"steps": 1, "pruning": 2, "itself": False}),
    *(("cooccurrence", {"measure": m, "window": 2}) for m in ("normalised", "ppmi", "bm25")),
    ("cooccurrence", {"measure": "tf-idf", "top": 2, "decay": 0.5}),
    ("svd", {"matrix": "ppmi", "popularity": 0.0, "dim": 3}),
    ("mf", {"popularity": 0.0, "plays": "once", "nu": 0.0}),
    ("mf", {"loss": "bpr"}),
    ("mf", {"loss": "logistic", "popularity": 0.5, "patience": 1}),
    ("sknn", {"scoring": "followers", "similarity": "jaccard"}),
    ("vsknn", {"sample": 2, "neighbours": 1, "compat": "session-rec"}),
    ("vmis", {"compat": "serenade"}),
    ("wsknn", {"sampling": "common_items", "compat": "wsknn"}),
    ("projection", {"method": "svd", "dim": 5}),
    ("sknn", {"candidates": "ann", "sample": 0}),
    ("two-tower", {"scoring": "dot", "temperature": 1.0, "query_layers": "5", "item_layers": "4"}),
    ("neural-cf", {"layers": "4", "negatives": 2, "patience": 1}),
    ("two-tower", {"loss": "bce", "attention": False, "patience": None}),
    ("gru4rec", {"layers": "5", "input": "embedding", "embedding_dim": 3, "loss": "bpr", "optimizer": "adam"}),
    ("gru4rec", {"layers": "4,5", "input": "onehot", "loss": "cross-entropy", "logq": 1.0, "n_sample": 3}),
    ("gru4rec", {"layers": "3", "input": "content", "loss": "cross-entropy"}),
    ("gru4rec", {"layers": "3", "input": "content-mlp", "elu": 0.0}),
    ("gru4rec", {"layers": "4", "batch": 2, "patience": 1, "momentum": 0.0, "regularisation": 0.01}),
    *(("vectors", {"metric": metric}) for metric in ("cosine", "dot", "l2")),
]
N = 6
# models that answer with fewer than k where they know no more, an empty history with none
FEWER = {"ar", "sr", "cooccurrence", "sknn", "vsknn", "stan", "vstan", "vmis", "sscf", "wsknn"}


def recipe_of(name: str, settings: dict[str, Any]) -> Any:
    cls = settings_class(name)
    known = {f.name for f in dataclasses.fields(cls)}
    return build(cls, {**{k: v for k, v in SMALL.items() if k in known}, **settings}, given="the tests")


def made(name: str, settings: dict[str, Any], seed: int = 0) -> Model:
    """A model of the tiny sessions."""
    recipe, sessions = recipe_of(name, settings), tiny_sessions()
    if str(settings.get("input")).startswith("content"):
        known = Features(sessions.vocab, {"number": read_only(np.arange(N))})
        sessions = dataclasses.replace(sessions, item_features=known)
    if name in MODELS:
        return recipe.fit(sessions, seed=seed, threads=1, report=lambda event, **numbers: None)
    vectors = some_embeddings(N, 4, seed=seed, spread=0.7).vectors
    return recipe.from_arrays(sessions.vocab, {"items": vectors})


@pytest.fixture(params=VARIANTS, ids=lambda v: "-".join([v[0], *(str(s) for s in v[1].values())]), scope="module")
def make(request: pytest.FixtureRequest) -> Callable[..., Model]:
    return lambda seed=0: made(*request.param, seed=seed)


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


def test_the_tests_know_every_model() -> None:
    assert {name for name, _ in VARIANTS} == set(SAVED_MODELS) >= set(MODELS)


def test_a_finished_model_has_what_the_protocol_says(model: Model) -> None:
    assert isinstance(model, Model)
    assert dataclasses.is_dataclass(model.recipe) and settings_of(model.recipe) is not None
    assert SAVED_MODELS[model.recipe.name].endswith(f":{type(model.recipe).__name__}")
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.recipe.name = "other"  # type: ignore[misc]
    with pytest.raises((dataclasses.FrozenInstanceError, AttributeError)):
        model.vocab = Vocab([])  # type: ignore[misc]


def test_names_and_counts_are_kept(model: Model) -> None:
    sessions = tiny_sessions()
    assert sorted(model.vocab.ids) == sorted(sessions.vocab.ids)
    for column in ("names", "counts"):
        said = dict(zip(sessions.vocab.ids, getattr(sessions.vocab, column), strict=True))
        assert dict(zip(model.vocab.ids, getattr(model.vocab, column), strict=True)) == said


def test_seen_items_are_left_out(model: Model) -> None:
    asked = histories(model)
    answer = model.recommend(asked, N)
    assert answer.rows.shape == (len(asked), N) and answer.vocab is model.vocab
    for q in range(len(asked)):
        unseen = set(range(N)) - set(asked[q].tolist())
        there = answer.rows[q][answer.rows[q] >= 0].tolist()
        assert len(set(there)) == len(there) and set(there) <= unseen  # each once, and missing ones at the end
        assert (answer.rows[q][len(there) :] == -1).all()
        assert len(there) == len(unseen) or model.recipe.name in FEWER
    assert np.isfinite(answer.scores[answer.rows >= 0]).all()


def test_seen_items_may_come_back(model: Model) -> None:
    asked = histories(model)
    answer = model.recommend(asked, N, seen=True)
    assert (np.sort(answer.rows, axis=1) == np.arange(N)).all() or model.recipe.name in FEWER
    unseen = model.recommend(asked, N)
    for q in range(len(asked)):  # the same order, with and without
        kept = [(r, s) for r, s in zip(answer.rows[q], answer.scores[q], strict=True) if r not in {-1, *asked[q]}]
        there = unseen.rows[q] >= 0
        assert [r for r, _ in kept] == unseen.rows[q][there].tolist()
        np.testing.assert_allclose([s for _, s in kept], unseen.scores[q][there], rtol=1e-5, atol=1e-6)


def test_more_is_the_same_and_more(model: Model) -> None:
    asked = histories(model)
    whole = model.recommend(asked, N)
    for k in range(1, N):
        assert (model.recommend(asked, k).rows == whole.rows[:, :k]).all()


def test_alone_and_in_a_batch(model: Model) -> None:
    asked = histories(model)
    batch = model.recommend(asked, 3)
    for q in range(len(asked)):
        alone = model.recommend(asked.take(np.array([q])), 3)
        assert (alone.rows[0] == batch.rows[q]).all()
        np.testing.assert_allclose(alone.scores[0], batch.scores[q], rtol=1e-5, atol=1e-6)


def test_unknown_items_say_nothing(model: Model) -> None:
    known, strange = (of_lists(lists).reindex(model.vocab) for lists in (["a", ""], ["xay", "xyz"]))
    assert same(model.recommend(known, 3), model.recommend(strange, 3))


def test_an_empty_history_is_answered(model: Model) -> None:
    empty = of_lists([[], []], model.vocab)
    answer = model.recommend(empty, 2)
    assert ((answer.rows >= 0) == (model.recipe.name not in FEWER)).all()
    assert (answer.rows[0] == answer.rows[1]).all()
    none = of_lists([], model.vocab)
    assert model.recommend(none, 2).rows.shape == (0, 2)


@pytest.mark.parametrize("seen", [False, True])
def test_k_that_does_not_fit(model: Model, seen: bool) -> None:
    for k in (0, -1, N + 1):
        with pytest.raises(SettingsError, match=f"k must lie between 1 and the {N} items there are, but is {k}"):
            model.recommend(histories(model), k, seen=seen)


def test_nothing_is_written_into(make: Callable[..., Model]) -> None:
    """The inputs cannot be written into; so the model's own arrays must not be needed writable either."""
    model = make()
    for array in model.arrays.values():
        if array.flags.owndata:
            array.flags.writeable = False
    before = {name: array.copy() for name, array in model.arrays.items()}
    model.recommend(histories(model), 3)
    model.recommend(histories(model), 3, seen=True)
    assert all((model.arrays[name] == array).all() for name, array in before.items())


def test_trained_models_end_in_restore(model: Model) -> None:
    again = model.recipe.from_arrays(model.vocab, {name: read_only(a) for name, a in model.arrays.items()})
    assert type(again) is type(model)
    assert same(again.recommend(histories(model), N), model.recommend(histories(model), N))


def test_saved_and_loaded(model: Model, tmp_path: Path) -> None:
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
    for seen in (False, True):
        before, after = (m.recommend(histories(model), N, seen=seen) for m in (model, loaded))
        assert same(before, after)
    save_model(loaded, tmp_path / "again", {"seed": 0})
    assert artifacts.read(tmp_path / "again").fingerprint == artifact.fingerprint
    assert artifact.about["items"] == N and artifact.about["settings"] == settings_of(model.recipe)


def test_arrays_that_do_not_fit_the_vocabulary(model: Model, tmp_path: Path) -> None:
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


def test_the_seed_decides(make: Callable[..., Model]) -> None:
    one, same_seed, other = make(seed=1), make(seed=1), make(seed=2)
    for name, array in one.arrays.items():
        assert array.tobytes() == same_seed.arrays[name].tobytes()
    projected = getattr(one.recipe, "candidates", None) == "ann"
    drawn = isinstance(one, VectorModel) or one.recipe.name == "random" or projected  # others have nothing to draw
    assert drawn == any(a.tobytes() != other.arrays[name].tobytes() for name, a in one.arrays.items())
    np.random.seed(0)
    before = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    make(seed=3)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index, union-attr]


def test_the_same_from_several_threads(model: Model) -> None:
    asked, failed = histories(model), []
    expected = model.recommend(asked, 4)

    def ask() -> None:
        for _ in range(10):
            if not same(model.recommend(asked, 4), expected):
                failed.append(1)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


@pytest.mark.parametrize("name", list(MODELS))
def test_training_tells_epochs_in_order(name: str) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    recipe_of(name, {}).fit(tiny_sessions(), seed=0, threads=2, report=lambda event, **n: told.append((event, n)))
    epochs = [n["epoch"] for event, n in told if event == "epoch"]
    assert epochs == list(range(1, len(epochs) + 1))
    assert {event for event, _ in told} <= {"vocabulary", "epoch", "progress", "best"}
    assert all({"done", "total", "unit"} == set(n) for event, n in told if event == "progress")


# ------------------------------------------------------------------------- models with vectors, beyond that


@pytest.fixture
def vector_model(make: Callable[..., Model], request: pytest.FixtureRequest) -> VectorModel | None:
    model = make()
    return model if isinstance(model, VectorModel) else None


def test_encode_makes_session_vectors(vector_model: VectorModel | None) -> None:
    if vector_model is None:
        return  # a model without vectors has no such method, and nobody asks for it
    sessions = of_lists(["ab", "xyz", "bxa", ""])
    encoded = vector_model.encode(sessions)
    assert encoded.vocab.ids.tolist() == [0, 1, 2, 3]
    assert encoded.metric == vector_model.embeddings.metric and encoded.dim == vector_model.embeddings.dim
    assert not encoded.vectors[[1, 3]].any() and encoded.vectors[0].any()
    one = vector_model.encode(of_lists(["c"])).search(vector_model.embeddings.vectors, 1)
    found = vector_model.embeddings.search(vector_model.encode(of_lists(["c"])).vectors, 1)
    assert len(one) == N
    state = isinstance(vector_model, RecurrentModel)  # it lies near what comes next
    if vector_model.embeddings.metric != "dot" and not state:  # the item itself is nearest to a history of it alone
        assert found.ids() == [["c"]]


def test_using_an_index_is_the_same_model(vector_model: VectorModel | None) -> None:
    if vector_model is None:
        return
    asked = histories(vector_model)
    using = vector_model.using(build_index(vector_model.answers, "flat"))
    for seen in (False, True):
        exact, found = (m.recommend(asked, N, seen=seen) for m in (vector_model, using))
        np.testing.assert_allclose(exact.scores, found.scores, rtol=1e-4, atol=1e-5)
        for q in range(len(asked)):
            if len(asked[q]):  # an empty history ties everywhere
                assert (exact.rows[q] == found.rows[q]).all()
    other = build_index(some_embeddings(N, vector_model.embeddings.dim), "flat")
    with pytest.raises(SettingsError, match="built from another vocabulary"):
        vector_model.using(other)
    metric: Any = "l2" if vector_model.answers.metric != "l2" else "dot"
    with pytest.raises(SettingsError, match=f"the index compares by {metric}"):
        vector_model.using(dataclasses.replace(vector_model.answers, metric=metric))


def test_the_mean_listens_to_what_came_last() -> None:
    vectors = np.array([[1, 0, 0], [0, 2, 0], [0, 0, 4]], dtype=np.float32)
    sessions = of_lists(["ab", "abc", "aab", ""], Vocab(list("abc")))
    cosine = Vectors(metric="cosine", decay=0.5).from_arrays(Vocab(list("abc")), {"items": vectors})
    expected = [[1 / 3, 2 / 3, 0], [1 / 7, 2 / 7, 4 / 7], [3 / 7, 4 / 7, 0], [0, 0, 0]]
    np.testing.assert_allclose(cosine.encode(sessions).vectors, expected, rtol=1e-6)
    l2 = Vectors(metric="l2", decay=0.5).from_arrays(Vocab(list("abc")), {"items": vectors})
    expected = [[1 / 3, 4 / 3, 0], [1 / 7, 4 / 7, 16 / 7], [3 / 7, 8 / 7, 0], [0, 0, 0]]
    np.testing.assert_allclose(l2.encode(sessions).vectors, expected, rtol=1e-6)
    for decay in (0.0, 1.5, -1.0, float("nan")):
        with pytest.raises(SettingsError, match=r"decay must lie in \(0, 1\]"):
            Vectors(decay=decay)


def test_every_recipe_has_a_name_and_defaults() -> None:
    for name in MODELS:
        assert recipe_class(name)().name == name
