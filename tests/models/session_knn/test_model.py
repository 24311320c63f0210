"""Session kNNs against slow twins, and what goes for all of them: update, age, batches, threads, memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models import MODELS, recipe_class
from embedrec.models.session_knn.base import SessionKnn
from embedrec.models.session_knn.model import SessionKnnModel
from embedrec.models.session_knn.variants import SKNN, SSCF, STAN, VMIS, VSKNN, VSTAN
from embedrec.models.session_knn.wsknn import WSKNN
from tests.conftest import of_lists
from tests.data import strategies as draw
from tests.models.session_knn.past_sessions import histories_of, pasts, sessions_of
from tests.models.session_knn.random_sessions import long_histories, long_tail_sessions
from tests.models.session_knn.slow_knn import DAY, Past

NAMES = [name for name in MODELS if issubclass(recipe_class(name), SessionKnn)]


# --------------------------------------------------------------------------------- what goes for all of them

VARIANTS: list[SessionKnn] = [
    SKNN(),
    SKNN(neighbours=3, sample=4, similarity="jaccard", scoring="followers"),
    VSKNN(),
    VSKNN(neighbours=2, sample=3, idf=1, compat="session-rec"),
    STAN(),
    VSTAN(neighbours=4),
    VMIS(),
    VMIS(sample=3, longest=0.8, last_items=1),
    SSCF(neighbours=3),
    WSKNN(),
    WSKNN(neighbours=3, sample=3, sampling="common_items", compat="wsknn"),
    WSKNN(neighbours=3, sample=3, sampling="weighted_events", required_event="buy"),
    WSKNN(sample=2, sampling="random", recommend_any=True),
]
HISTORIES = ["", "a", "abc", "cab", "fede", "abcdef"]


def same(one: SessionKnnModel, other: SessionKnnModel) -> None:
    """Two models hold the same and answer the same."""
    assert one.recipe == other.recipe and one.vocab.ids.tolist() == other.vocab.ids.tolist()
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        assert array.dtype == other.arrays[name].dtype and array.tolist() == other.arrays[name].tolist(), name
    queries = histories_of(HISTORIES).reindex(one.vocab)
    k = len(one.vocab)
    for exclude_seen in (False, True):
        for mine, yours in zip(
            *(model.weights(queries, k, exclude_seen=exclude_seen) for model in (one, other)), strict=True
        ):
            assert (mine == yours).all()
    sessions = len(one.arrays["numbers"])
    if sessions:
        for mine, yours in zip(*(model.neighbours(queries, sessions) for model in (one, other)), strict=True):
            assert (mine == yours).all()


@draw.given(pasts(), st.integers(0, 12), st.sampled_from(VARIANTS), examples=200)
def test_an_updated_model_equals_one_trained_on_all_sessions(past: list[Past], cut: int, recipe: SessionKnn) -> None:
    if not past[:cut] or not past[cut:]:
        return
    updated = recipe.fit(sessions_of(past[:cut]), seed=7).update(sessions_of(past[cut:]))
    same(updated, recipe.fit(sessions_of(past), seed=7))


@draw.given(pasts(), st.integers(0, 12), st.integers(0, 13), st.sampled_from(VARIANTS), examples=200)
def test_a_model_without_old_sessions_equals_one_trained_on_the_others(
    past: list[Past], newest: int, quarter: int, recipe: SessionKnn
) -> None:
    model = recipe.fit(sessions_of(past), seed=7)
    timed = bool(past) and past[0].times is not None

    def time(s: int) -> float:
        given = past[s].times
        event = 0 if recipe.order == "first" else -1
        return (given[event] if given else -np.inf) if timed else 0  # type: ignore[index]

    order = sorted(range(len(past)), key=lambda s: (time(s), s))
    kept = sorted(order[max(0, len(past) - newest) :])
    same(
        model.drop_old_sessions(newest=newest),
        recipe.fit(sessions_of([past[s] for s in kept]), seed=7) if kept else emptied(model),
    )
    if timed:
        moment = quarter * DAY // 4
        kept = [s for s in range(len(past)) if time(s) >= moment]
        fresh = recipe.fit(sessions_of([past[s] for s in kept]), seed=7) if kept else emptied(model)
        same(model.drop_old_sessions(before_ms=moment), fresh)


def emptied(model: SessionKnnModel) -> SessionKnnModel:
    """The model without any session; a fit on none would not know which columns there were."""
    none = {name: array[: 1 if name in ("offsets", "seed") else 0] for name, array in model.arrays.items()}
    return model.recipe.from_arrays(model.vocab, none)


def test_an_update_adds_new_items() -> None:
    names = np.array(["A", "B"], dtype=object)
    old = replace(of_lists(["ab", "ba"]), vocab=Vocab(["a", "b"], names, np.array([2, 2])))
    new = of_lists(["xb", "c", "bxx"], Vocab(list("zxcb"), np.array(list("ZXCB"), dtype=object)))
    model = VSKNN().fit(old).update(new)
    assert model.vocab.ids.tolist() == ["a", "b", "x", "c"]
    assert model.vocab.names.tolist() == ["A", "B", "X", "C"]  # type: ignore[union-attr]
    assert model.vocab.counts.tolist() == [2, 4, 3, 1]  # type: ignore[union-attr]
    queries = of_lists(["b"])
    assert model.neighbours(queries, 5)[0].tolist() == [[4, 2, 1, 0, -1]]
    assert set(model.recommend(queries, 4).ids()[0]) == {"a", "x"}
    assert model.threads == 1 and model.with_threads(2).update(new).threads == 2
    assert model.update(of_lists([[1, 2]])).vocab.ids.tolist() == ["a", "b", "x", "c", "1", "2"]
    timed = replace(new, times=np.arange(len(new.items)))
    with pytest.raises(DataError, match="the model's sessions have no times, but the new ones have times"):
        model.update(timed)
    with pytest.raises(DataError, match="the model's sessions have times, but the new ones have no times"):
        VSKNN().fit(timed).update(old)


def test_removal_of_old_sessions_needs_an_age_or_a_number() -> None:
    model = SKNN().fit(of_lists(["ab"]))
    for given in ({}, {"before_ms": 1, "newest": 1}):
        with pytest.raises(SettingsError, match="either before_ms or newest must be given"):
            model.drop_old_sessions(**given)
    with pytest.raises(SettingsError, match="the model's sessions have no times; use newest"):
        model.drop_old_sessions(before_ms=0)


@pytest.mark.parametrize("name", NAMES)
def test_results_do_not_depend_on_threads_and_batches(name: str) -> None:
    train, queries = long_tail_sessions(), long_histories(800)
    model = recipe_class(name)(sample=300).fit(train)
    rows, weights = model.weights(queries, 40)
    for threads in (2, 3):
        again = model.with_threads(threads).weights(queries, 40)
        assert (again[0] == rows).all() and (again[1] == weights).all()
    near = model.neighbours(queries, 20)
    for q in range(0, len(queries), 7):
        alone = queries.take(np.array([q]))
        results = (*model.weights(alone, 40), *model.neighbours(alone, 20))
        for one, batch in zip(results, (rows, weights, *near), strict=True):
            assert (one[0] == batch[q]).all()
    with pytest.raises(SettingsError, match="threads must be at least 1, but is 0"):
        model.with_threads(0)


@pytest.mark.parametrize("recipe", [*(recipe_class(name)() for name in NAMES), SKNN(scoring="followers")])
@pytest.mark.parametrize("timed", [False, True])
def test_memory(recipe: SessionKnn, timed: bool) -> None:
    """At most three times the session arrays, the scratch of two threads counted."""
    train = long_tail_sessions(40_000, 9_000)  # as many items a session as in diginetica
    train = train if timed else replace(train, times=None)
    if isinstance(recipe, STAN) and timed:
        recipe = replace(recipe, snh=5.0)
    model = recipe.fit(train, threads=2)
    model.recommend(long_histories(9_000), 20)
    given = [train.offsets, train.items, *([] if train.times is None else [train.times])]
    held = [*model.arrays.values(), *model.index, *(array for scratch in model.scratch_pool for array in scratch)]
    distinct = {array.__array_interface__["data"][0]: array.nbytes for array in held}
    assert len(model.scratch_pool) <= 2
    assert sum(distinct.values()) <= 3 * sum(array.nbytes for array in given)


@pytest.mark.parametrize("name", NAMES)
def test_histories_without_known_items_have_no_results(name: str) -> None:
    model = recipe_class(name)().fit(sessions_of([Past(list("ab")), Past([]), Past(list("bc"))]))
    queries = of_lists(["", "xyz", "f", "xa"])  # f is known, but no session holds it
    answer, (numbers, similarities) = model.recommend(queries, 6), model.neighbours(queries, 2)
    assert answer.ids()[:3] == [[], [], []] and answer.ids()[3] == ["b"]
    assert (numbers[:3] == -1).all() and np.isneginf(similarities[:3]).all() and numbers[3].tolist() == [0, -1]
    for k in (0, -1, 4):
        with pytest.raises(SettingsError, match=f"k must lie between 1 and the 3 training sessions, but is {k}"):
            model.neighbours(queries, k)
    nobody = recipe_class(name)().fit(sessions_of([]))
    assert nobody.recommend(queries, 6).ids() == [[], [], [], []]


def test_times_decide_which_sessions_are_newest() -> None:
    past = [Past(["a", "b"], [5, 6]), Past(["a", "c"], [1, 9]), Past(["a", "d"], [2, 6])]
    queries = histories_of(["a"])
    assert SKNN().fit(sessions_of(past)).neighbours(queries, 3)[0].tolist() == [[1, 2, 0]]
    untimed = [Past(p.items) for p in past]
    assert SKNN().fit(sessions_of(untimed)).neighbours(queries, 3)[0].tolist() == [[2, 1, 0]]
