"""Composite models: the union of candidates, what follows it, batches and threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embedrec import Fusion, Sessions
from embedrec.errors import DataError, SettingsError, UnknownItemError
from embedrec.models.filtered_recommend import recommend_filtered
from embedrec.ranking.composite import TASK_HISTORIES, CompositeModel
from tests.conftest import of_lists, read_only


def sessions(repeats: bool) -> Sessions:
    rng = np.random.default_rng(0)
    lists = []
    for s in rng.integers(0, 40, 400).tolist():
        items = [f"i{(s + k * k + int(rng.integers(0, 2))) % 40}" for k in range(5)]
        items = [*dict.fromkeys(items)]
        lists.append(items + items[:1] * repeats)
    return of_lists(lists).drop_unused_items()


@pytest.fixture(params=[False, True], ids=["no repeats", "repeats"], scope="module")
def model(request: pytest.FixtureRequest) -> CompositeModel:
    return Fusion("sr=5,cooccurrence=4,popular=3", window=0.3).fit(sessions(request.param))


def histories(model: CompositeModel, count: int = 30) -> Sessions:
    rng = np.random.default_rng(1)
    return of_lists([[f"i{i}" for i in rng.integers(0, 40, rng.integers(0, 6))] for _ in range(count)], model.vocab)


@pytest.mark.parametrize("exclude_seen", [False, True])
def test_a_short_list_is_the_start_of_a_long_one_also_beyond_the_candidates(
    model: CompositeModel, exclude_seen: bool
) -> None:
    queries, n = histories(model), len(model.vocab)
    whole = model.recommend(queries, n, exclude_seen=exclude_seen)
    for k in (1, 5, 11, 12, 13, 20, n - 1):
        short = model.recommend(queries, k, exclude_seen=exclude_seen)
        assert np.array_equal(short.rows, whole.rows[:, :k]) and np.array_equal(short.scores, whole.scores[:, :k])
    candidates = model.candidates(queries)
    for q in range(len(queries)):
        seen = set(queries[q].tolist())
        listed = whole.rows[q][whole.rows[q] >= 0].tolist()
        assert sorted(listed) == sorted(set(range(n)) - (seen if exclude_seen else set()))
        own = set(candidates.items[slice(*candidates.offsets[q : q + 2])].tolist()) - (seen if exclude_seen else set())
        assert set(listed[: len(own)]) == own


def test_items_of_the_history_follow_the_candidates_if_sessions_never_repeat_items() -> None:
    model = Fusion("sr=5,cooccurrence=4,popular=3", window=0.3).fit(sessions(False))
    query = of_lists([["i3", "i9", "i3", "i30"]], model.vocab)
    count = len(model.candidates(query).items)
    listed = model.recommend(query, count + 3, exclude_seen=False).ids()[0]
    assert listed[count:] == ["i30", "i3", "i9"]


def test_what_follows_the_candidates_is_in_the_order_of_the_parts(model: CompositeModel) -> None:
    query = of_lists([["i3"]], model.vocab)
    count = len(model.candidates(query).items)
    own = set(model.candidates(query).items.tolist()) | {int(query.items[0])}
    parts = [part.lists(query, len(model.vocab), exclude_seen=True)[0][0] for part in model.parts]
    expected: list[int] = []
    for r in range(len(model.vocab)):
        for rows in parts:
            if r < len(rows) and rows[r] >= 0 and rows[r] not in own:
                expected.append(int(rows[r]))
                own.add(int(rows[r]))
    followers = model.recommend(query, count + 5).rows[0][count:]
    if model.exclude_seen:
        assert followers.tolist() == expected[:5]


def test_parts_keep_the_settings_that_training_chose() -> None:
    model = Fusion(
        "word2vec=5,popular=3", {"word2vec": {"dim": 4, "epochs": 1, "min_count": 1, "sample": 0.0}}, window=0.3
    ).fit(sessions(False))
    part = model.parts[0].model
    assert model.recipe.parts["word2vec"]["popularity"] == part.recipe.popularity is not None  # type: ignore[attr-defined]


def test_a_model_of_similar_items_learns_from_single_items() -> None:
    rng = np.random.default_rng(0)
    groups = ("abcdefghij", "ABCDEFGHIJ")
    lists = [rng.permutation([*groups[s % 2]])[:4].tolist() for s in range(600)]
    model = Fusion("sr=9,cooccurrence=9", window=0.3, of="similar").fit(of_lists(lists))
    for item, group in zip("eE", groups, strict=True):
        assert {*model.neighbours(model.vocab.rows([item]), 9).ids()[0]} == {*group} - {item}


def test_threads_change_nothing(model: CompositeModel) -> None:
    queries = histories(model, 2 * TASK_HISTORIES + 7)
    one, two = model.with_threads(1).recommend(queries, 10), model.with_threads(2).recommend(queries, 10)
    assert np.array_equal(one.rows, two.rows) and np.array_equal(one.scores, two.scores)
    with pytest.raises(SettingsError, match="threads must be at least 1, but is 0"):
        model.with_threads(0)


def test_filters_keep_k_results(model: CompositeModel) -> None:
    allowed = np.arange(len(model.vocab) - 12, len(model.vocab))
    results = recommend_filtered(model, histories(model), 6, allowed=allowed)
    assert (results.rows >= len(model.vocab) - 12).all()


def test_neighbours_are_recommended_after_the_item_alone(model: CompositeModel) -> None:
    rows, n = read_only(np.array([3, 9, 3])), len(model.vocab)
    alone = of_lists([[model.vocab.id(int(row))] for row in rows], model.vocab)
    want, result = model.recommend(alone, 7), model.neighbours(rows, 7)
    assert np.array_equal(result.rows, want.rows) and np.array_equal(result.scores, want.scores)
    assert not (result.rows == rows[:, None]).any()
    allowed = read_only(np.arange(n) % 3 == 0)
    among = model.neighbours(rows, 5, allowed=allowed)
    whole = model.neighbours(rows, n - 1).rows
    assert among.rows.tolist() == [[row for row in line.tolist() if row % 3 == 0][:5] for line in whole]
    with pytest.raises(SettingsError, match="the number of neighbours must be between 1 and "):
        model.neighbours(rows, n)
    with pytest.raises(UnknownItemError):
        model.neighbours(np.array([-1]), 3)


@pytest.mark.parametrize("value", [np.array([2], np.uint8), np.array([1, 1], np.uint8), np.array([1], np.int64)])
def test_a_damaged_flag(model: CompositeModel, value: Any) -> None:
    with pytest.raises(DataError, match="exclude_seen of a fusion model must be one number, 0 or 1"):
        model.recipe.from_arrays(model.vocab, {**model.arrays, "exclude_seen": value})


def test_its_summary_names_the_parts(model: CompositeModel) -> None:
    assert "sr + cooccurrence + popular" in repr(model)
