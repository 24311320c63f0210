"""FAISS proposes, the exact scorer ranks: with all sessions proposed nothing changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models.session_knn.ann_candidates import SessionAnn
from embedrec.models.session_knn.base import SessionKnn
from embedrec.models.session_knn.model import CandidateSource, SessionKnnModel
from embedrec.models.session_knn.variants import SKNN, SSCF, STAN, VMIS, VSKNN, VSTAN
from embedrec.models.session_knn.wsknn import WSKNN
from tests.conftest import of_lists
from tests.models.session_knn.random_sessions import topic_sessions

RECIPES = [
    SKNN(5, 0),
    SKNN(5, 0, "jaccard", "last-shared"),
    SKNN(3, 0, scoring="followers"),
    VSKNN(5, 0),
    VSKNN(5, 0, similarity="vec", decay="same"),
    STAN(5, 0, snh=2.0),
    VSTAN(5, 0),
    VMIS(5, 0, longest=0.9),
    SSCF(5),
    WSKNN(5, 0, compat="wsknn"),
]


def proposing(model: SessionKnnModel, some: np.ndarray) -> SessionKnnModel:
    """The model with the same proposals for every history."""
    return replace(
        model, candidate_source=CandidateSource(lambda h, k: np.tile(some.astype(np.int32), (len(h), 1)), len(some))
    )


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: r.name)
def test_all_sessions_as_candidates_equal_an_exact_search(recipe: SessionKnn) -> None:
    train, queries = topic_sessions(300), topic_sessions(40, seed=1)
    model = recipe.fit(train)
    store = np.random.default_rng(0).permutation(300)
    if isinstance(recipe, VMIS):  # long sessions can be no neighbours, whoever proposes
        result = recipe.eligible(session_ann_store(model))
        store = store[result[store]]
    through = proposing(model, np.concatenate([store, [-1, -1]]))
    for exact, near in zip(model.neighbours(queries, 30), through.neighbours(queries, 30), strict=True):
        np.testing.assert_allclose(near, exact, rtol=1e-12)
    for exclude_seen in (False, True):
        rows, scores = model.weights(queries, 20, exclude_seen=exclude_seen)
        other, close = through.weights(queries, 20, exclude_seen=exclude_seen)
        np.testing.assert_array_equal(other, rows)
        np.testing.assert_allclose(close, scores, rtol=1e-11)


def session_ann_store(model: SessionKnnModel) -> Any:
    from embedrec.models.session_knn.store import SessionStore

    return SessionStore.from_arrays(model.arrays, len(model.vocab))


def test_only_candidates_are_neighbours() -> None:
    train, queries = topic_sessions(300), topic_sessions(40, seed=1)
    model = SKNN(5, 0).fit(train)
    some = np.arange(0, 300, 3)
    near, similar = proposing(model, some).neighbours(queries, 20)
    numbers, similarities = model.neighbours(queries, 300)
    for q in range(40):
        kept = [(n, s) for n, s in zip(numbers[q], similarities[q], strict=True) if n >= 0 and n % 3 == 0][:20]
        assert near[q][near[q] >= 0].tolist() == [n for n, _ in kept]
        np.testing.assert_allclose(similar[q][: len(kept)], [s for _, s in kept])


@pytest.mark.parametrize("recipe", [SKNN, VSKNN, VMIS, SSCF, WSKNN])
def test_ann_candidates_have_the_results_of_lists(recipe: Any) -> None:
    """So few sessions are all proposed: the answers are those of the exact search."""
    train, queries = topic_sessions(400), topic_sessions(50, seed=1)
    reports: dict[str, Any] = {}
    ann = recipe(20, 400, candidates="ann", dim=64).fit(train, report=lambda event, **numbers: reports.update(numbers))
    exact = recipe(20, 400).fit(train)
    np.testing.assert_array_equal(ann.recommend(queries, 10).rows, exact.recommend(queries, 10).rows)
    assert reports["asked"] > 20 and reports["candidates"] == 400 and reports["nprobe"] == 0
    assert reports["nearest_found"] == 1.0 and reports["recall@20"] == reports["recall@20_lists"] > 0.3
    assert reports["mrr@20"] == reports["mrr@20_lists"] > 0.05


def test_models_are_updated_and_old_sessions_removed() -> None:
    """New sessions, of items that are new, are proposed; drop_old_sessions ones are not."""
    train, newer = topic_sessions(300), of_lists([[0, 1, 900, 901], [900, 901]], Vocab(np.array([0, 1, 900, 901])))
    newer = replace(newer, times=np.repeat(10**11, 6))
    model = SKNN(20, 50, candidates="ann", dim=64).fit(train)
    grown = model.update(newer)
    queries = of_lists([[900]], Vocab(np.array([900])))
    assert set(grown.neighbours(queries, 2)[0][0].tolist()) == {300, 301}
    old = grown.drop_old_sessions(newest=2)
    assert sorted(old.neighbours(queries, 2)[0][0].tolist()) == [0, 1]
    assert (old.recipe, len(old.arrays["numbers"])) == (model.recipe, 2)
    assert SessionAnn.from_arrays(old.arrays, len(old.vocab), 2).faiss.ntotal == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"candidates": "all"}, "candidates must be one of lists, ann, but is 'all'"),
        ({"dim": 0}, "dim must be between 1 and 65536, but is 0"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SKNN(**settings)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("projection", lambda a: a[:-1]),
        ("projection", lambda a: np.full_like(a, np.inf)),
        ("projection", lambda a: a.astype(np.float64)),
        ("projection", lambda a: np.ascontiguousarray(a[:, 1:])),
        ("faiss", lambda a: a.astype(np.int8)),
        ("nprobe", lambda a: np.array([-1])),
        ("nprobe", lambda a: np.array([1, 2])),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, change: Any) -> None:
    model = SKNN(5, 50, candidates="ann", dim=8).fit(topic_sessions(100))
    with pytest.raises(DataError):
        model.recipe.from_arrays(model.vocab, dict(model.arrays) | {name: change(model.arrays[name])})


def test_an_index_of_another_number_of_sessions_is_refused() -> None:
    model = SKNN(5, 50, candidates="ann", dim=8).fit(topic_sessions(100))
    other = SKNN(5, 50, candidates="ann", dim=8).fit(topic_sessions(90))
    with pytest.raises(DataError, match="an index of 100 sessions needs 100 × 8 vectors, but has 90 × 8"):
        model.recipe.from_arrays(model.vocab, dict(model.arrays) | {"faiss": other.arrays["faiss"]})
