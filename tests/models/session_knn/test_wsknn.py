"""WSKNN with compat="wsknn" against the package `wsknn` on MovieLens 100K: the same items, and weights to 1e-9."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from wsknn import fit
from wsknn.model import wsknn as package

from embedrec.data import Sessions, Vocab
from embedrec.data.sessions import sessionize
from embedrec.datasets.movielens_100k import user_cache
from embedrec.errors import DataError
from embedrec.models.serialization import load_model, save_model
from embedrec.models.session_knn.model import SessionKnnModel
from embedrec.models.session_knn.wsknn import WSKNN
from embedrec.readers.movielens import MovieLens
from embedrec.storage import artifacts
from embedrec.tabular.read_settings import ReadSettings
from tests.conftest import of_lists
from tests.data import strategies as draw
from tests.models.session_knn.past_sessions import check, each, histories, pasts
from tests.models.session_knn.slow_knn import Past

WEIGHTINGS, RANKINGS = ("linear", "log", "quadratic"), ("linear", "inv", "log", "quadratic")
SAMPLINGS = ("common_items", "recent", "weighted_events")
ALL = 10_000


class Settled(package.WSKNN):
    """The package with its ties settled as here: where it takes what comes first of a set, the newest comes first, and
    similarities that differ only by rounding are equal. Its formulas are its own."""

    def _newest_first(self, sessions: Any) -> list[Any]:
        event = -1 if self.sampling_strategy == "weighted_events" else 0
        return sorted(sessions, key=lambda s: (self.session_item_map[s][1][event], s), reverse=True)

    def _sample_possible_neighbors(self, all_sessions: Any, session: Any) -> Any:
        return super()._sample_possible_neighbors(self._newest_first(all_sessions), session)

    def _possible_neighbors(self, session: Any) -> Any:
        candidates = super()._possible_neighbors(session)
        return candidates if self.sampling_strategy == "weighted_events" else self._newest_first(candidates)

    def _calculate_similarity(self, *given: Any) -> Any:
        return [[s, round(similarity, 12)] for s, similarity in super()._calculate_similarity(*given)]


@pytest.fixture(scope="module")
def movielens() -> Sessions:
    """943 users; an event of four stars and more is a "like"."""
    folder = user_cache() / "ml-100k"
    if not (folder / "ml-100k.inter").is_file():
        pytest.skip(f"needs MovieLens 100K in {folder}, where `embedrec demo` puts it")
    sessions = sessionize(MovieLens().read([folder], ReadSettings()))
    assert sessions.weights is not None
    return Sessions(
        sessions.offsets,
        sessions.items,
        sessions.vocab,
        sessions.ids,
        times=sessions.times,
        weights=sessions.weights,
        kinds=(sessions.weights >= 4).astype(np.int32),
        kind_names=np.array(["watch", "like"], dtype=object),
    )


@pytest.fixture(scope="module")
def split(movielens: Sessions) -> tuple[Sessions, dict[int, list[Any]], Sessions]:
    """Every tenth user is held out: training sessions, as the package takes them, and histories of 1 … 40 items."""
    held = np.arange(len(movielens)) % 10 == 9
    train = movielens.take(np.flatnonzero(~held))
    assert train.times is not None and train.weights is not None and train.kinds is not None
    columns = (train.items, train.times, train.kinds, train.weights)
    maps = {
        s: [column[train.offsets[s] : train.offsets[s + 1]].tolist() for column in columns] for s in range(len(train))
    }
    numbers = np.flatnonzero(held)[:24]
    lengths = np.minimum(movielens.lengths[numbers], np.array([1, 2, 5, 12, 25, 40] * 4))
    return train, maps, movielens.take(numbers, lengths)


def agree(peer: package.WSKNN, recipe: WSKNN, train: Sessions, histories: Sessions) -> None:
    model = recipe.fit(train)
    n = len(train.vocab)
    rows, weights = model.weights(histories, n, exclude_seen=False)
    top = model.recommend(histories, 10, exclude_seen=False)
    for q in range(len(histories)):
        want = dict(peer.recommend([histories[q].tolist(), [0] * len(histories[q])]) or [])
        valid = rows[q] >= 0
        result = dict(zip(rows[q][valid].tolist(), weights[q][valid].tolist(), strict=True))
        assert result == pytest.approx(want, rel=1e-9, abs=1e-12)
        best = sorted(want.values(), reverse=True)[:10]
        assert [want[r] for r in top.rows[q].tolist() if r >= 0] == pytest.approx(best, rel=1e-6)


def settings(recipe: WSKNN) -> dict[str, Any]:
    """The same settings by the package's names."""
    return {
        "number_of_recommendations": ALL,
        "number_of_neighbors": recipe.neighbours,
        "sampling_strategy": recipe.sampling,
        "sample_size": recipe.sample,
        "weighting_func": recipe.weighting,
        "ranking_strategy": recipe.ranking,
        "return_events_from_session": recipe.return_events_from_session,
        "required_sampling_event": None if recipe.required_event is None else 1,
        "required_sampling_event_index": None if recipe.required_event is None else 2,
    }


@pytest.mark.parametrize(("weighting", "ranking"), list(product(WEIGHTINGS, RANKINGS)))
def test_results_equal_those_of_the_package(split: Any, weighting: Any, ranking: Any) -> None:
    """With all sessions as candidates no tie decides, and samples of all sessions are equal in every order."""
    train, maps, histories = split
    recipe = WSKNN(ALL, ALL, "random", weighting, ranking, compat="wsknn")
    agree(fit(maps, **settings(recipe)), recipe, train, histories)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize(("weighting", "ranking"), list(product(WEIGHTINGS, RANKINGS)))
def test_results_equal_those_of_the_package_with_ordered_ties(
    split: Any, sampling: Any, weighting: Any, ranking: Any
) -> None:
    train, maps, histories = split
    recipe = WSKNN(10, 100, sampling, weighting, ranking, compat="wsknn")
    peer = Settled(**settings(recipe), sampling_event_weights_index=3)
    peer.fit(maps)
    agree(peer, recipe, train, histories)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_other_parameters_equal_those_of_the_package(split: Any, sampling: Any) -> None:
    train, maps, histories = split
    dull = train.kinds.copy()
    dull[train.offsets[5] : train.offsets[300]] = 0  # without likes
    train = Sessions(**{**vars(train), "kinds": dull})
    maps = {s: [*maps[s][:2], dull[train.offsets[s] : train.offsets[s + 1]].tolist(), maps[s][3]] for s in maps}
    recipe = WSKNN(20, 50, sampling, return_events_from_session=False, required_event="like", compat="wsknn")
    peer = Settled(**settings(recipe), sampling_event_weights_index=3)
    peer.fit(maps)
    agree(peer, recipe, train, histories)


def test_repeated_items_count_twice_in_the_package() -> None:
    train = of_lists(["abab", "acc"])
    maps = {s: [train[s].tolist(), list(range(len(train[s])))] for s in range(2)}
    for compat, want in (("wsknn", {"a": 3, "b": 2, "c": 2}), ("none", {"a": 2, "b": 1, "c": 1})):
        model = WSKNN(weighting="quadratic", ranking="inv", compat=compat).fit(train)  # type: ignore[arg-type]
        rows, weights = model.weights(of_lists(["a"], train.vocab), 3, exclude_seen=False)
        assert dict(zip(train.vocab.ids[rows[0]], weights[0].tolist(), strict=True)) == want
    peer = fit(maps, weighting_func="quadratic", ranking_strategy="inv")
    assert dict(peer.recommend([[0], [0]])) == {0: 3, 1: 2, 2: 2}


def test_random_samples_are_reproducible() -> None:
    rng = np.random.default_rng(0)
    train = of_lists(rng.integers(0, 30, (300, 6)).tolist(), Vocab(np.arange(30)))
    queries = of_lists([[1, 2], [3], [1, 2]], train.vocab)
    recipe = WSKNN(neighbours=30, sample=20, sampling="random")
    one, same, other = (recipe.fit(train, seed=seed) for seed in (1, 1, 2))
    numbers = one.neighbours(queries, 30)[0]
    assert ((numbers >= 0).sum(axis=1) == 20).all() and (numbers[0] == numbers[2]).all()
    assert (numbers == same.neighbours(queries, 30)[0]).all()
    drawn = [set(model.neighbours(queries, 30)[0][0].tolist()) for model in (one, other)]
    assert drawn[0] != drawn[1]
    counts = np.zeros(300)  # every session that shares an item is as likely as another
    for seed in range(400):
        counts[recipe.fit(train, seed=seed).neighbours(queries, 20)[0][1]] += 1
    able = np.array([3 in train[s] for s in range(300)])
    assert (counts[~able] == 0).all()
    mean = 400 * 20 / able.sum()
    assert (abs(counts[able] - mean) < 5 * np.sqrt(mean)).all()


def test_recommend_any_fills_lists_with_other_items() -> None:
    train = of_lists(["ab", "cd", "ef"])
    queries = of_lists(["a", "", "abcdef"], train.vocab)
    model = WSKNN(recommend_any=True).fit(train, seed=3)
    answer = model.recommend(queries, 6)
    assert [len(ids) for ids in answer.ids()] == [5, 6, 0]
    assert answer.ids()[0][0] == "b" and sorted(answer.ids()[0][1:]) == ["c", "d", "e", "f"]
    assert answer.scores[0].tolist()[1:5] == [0] * 4 and sorted(answer.ids()[1]) == list("abcdef")
    for k in range(1, 6):
        assert (model.recommend(queries, k).rows == answer.rows[:, :k]).all()
    orders = {tuple(WSKNN(recommend_any=True).fit(train, seed=s).recommend(queries, 6).ids()[1]) for s in range(20)}
    assert len(orders) > 10


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (WSKNN(sampling="weighted_events"), "sampling by weighted_events needs a weight of every event"),
        (WSKNN(required_event="buy"), "required_event='buy' needs kinds of events, but the sessions have none"),
    ],
)
def test_sessions_without_needed_columns_are_refused(recipe: WSKNN, message: str) -> None:
    with pytest.raises(DataError, match=message):
        recipe.fit(of_lists(["ab"]))


def test_a_kind_without_events_is_refused(movielens: Sessions) -> None:
    with pytest.raises(DataError, match="no event is of the kind 'lick'; kinds are 'watch', 'like'"):
        WSKNN(required_event="lick").fit(movielens)


def test_a_saved_model_has_all_its_columns(tmp_path: Path, movielens: Sessions) -> None:
    train, queries = movielens.take(np.arange(200)), movielens.take(np.arange(200, 205))
    model = WSKNN(sampling="weighted_events", required_event="like", recommend_any=True).fit(train, seed=4)
    assert {"times", "weights", "found", "seed"} < set(model.arrays)
    save_model(model, tmp_path / "m", {})
    loaded = load_model(artifacts.read(tmp_path / "m", "model"))
    assert isinstance(loaded, SessionKnnModel)
    for one, other in ((model, loaded), (model.update(queries), loaded.update(queries))):
        assert (one.recommend(queries, 9).rows == other.recommend(queries, 9).rows).all()
        assert (one.neighbours(queries, 9)[0] == other.neighbours(queries, 9)[0]).all()


@draw.given(
    pasts(),
    histories,
    each(
        WSKNN,
        sampling=st.sampled_from(["common_items", "recent", "weighted_events"]),
        weighting=st.sampled_from(["linear", "log", "quadratic"]),
        ranking=st.sampled_from(["linear", "inv", "log", "quadratic"]),
        required_event=st.sampled_from([None, "buy"]),
        compat=st.sampled_from(["none", "wsknn"]),
    ),
    examples=300,
)
def test_wsknn_equals_a_slow_loop(past: list[Past], lists: list[str], recipe: WSKNN) -> None:
    check(recipe, past, lists)
