"""Features of candidates, against a loop in plain Python; and what must not change them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedrec.data.features import Categories, Features, Lists
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.models.baselines.popular import Popular
from embedrec.models.imported import Vectors
from embedrec.models.vector_model import VectorModel
from embedrec.ranking.candidates import Candidates
from embedrec.ranking.features import FEATURES, FeatureTables
from tests.conftest import read_only
from tests.ranking.feature_twin import DAY, Twin

N = 7
ITEMS = Vocab(np.arange(100, 100 + N))
USERS = np.array(["ann", "bob", "cat", "dan"], dtype=object)
lists = st.lists(st.lists(st.integers(0, N - 1), max_size=14), min_size=1, max_size=6)


def sessions_of(rows: list[list[int]], rng: np.random.Generator, *, times: bool, users: bool) -> Sessions:
    lengths = np.array([len(row) for row in rows])
    starts = rng.integers(0, 30 * DAY, len(rows))
    steps = rng.integers(0, 3, int(lengths.sum())) * rng.integers(1, 10 * DAY)
    session = np.repeat(np.arange(len(rows)), lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    total = np.cumsum(steps)
    before = np.concatenate([[0], total])[offsets[:-1]]
    return Sessions(
        offsets,
        np.array([item for row in rows for item in row], dtype=np.int32),
        ITEMS,
        np.arange(len(rows)),
        times=(total - before[session] + starts[session]) if times else None,
        users=rng.choice(USERS, len(rows)) if users else None,
    )


def with_features(sessions: Sessions) -> Sessions:
    """The sessions with side information; some ids are unknown, some values missing."""
    items = Features(
        Vocab(np.array([100, 101, 102, 103, 104, 999])),
        numeric={
            "price": np.array([1.5, 2, np.nan, 8, 0.25, 3]),
            "balance": np.array([-1.0, 2, np.nan, 0, 5, 3]),
            "released": np.array([10.0, 20, 30, np.nan, 50, 60]),
        },
        categorical={"brand": Categories(np.array([0, 1, -1, 0, 1, 1]), np.array(["a", "b"], dtype=object))},
        lists={
            "tags": Lists(
                np.array([0, 3, 4, 4, 6, 7, 7]),
                np.array([2, 0, 2, 1, 1, 2, 0]),
                np.array(["x", "y", "z"], dtype=object),
            )
        },
        dates=frozenset(["released"]),
    )
    users = Features(
        Vocab(np.array(["ann", "bob", "dan", "eve"], dtype=object)),
        numeric={"years": np.array([20.0, np.nan, 40, 50])},
        categorical={"land": Categories(np.array([0, 1, 0, -1]), np.array(["de", "fr"], dtype=object))},
    )
    return Sessions(
        sessions.offsets,
        sessions.items,
        sessions.vocab,
        sessions.ids,
        times=sessions.times,
        users=sessions.users,
        item_features=items,
        user_features=users,
    )


def parts_of(sessions: Sessions, rng: np.random.Generator) -> list[tuple[str, Any]]:
    """Two parts with vectors, one of which lacks items and has a zero vector, and one without."""
    few = Vocab(np.array([102, 100, 101, 555]))
    vectors = rng.normal(size=(4, 3)).astype(np.float32)
    vectors[1] = 0
    every = rng.normal(size=(N, 19)).astype(np.float32)
    return [
        ("few", Vectors().from_arrays(few, {"items": vectors})),
        ("popular", Popular().fit(sessions)),
        ("all", Vectors(metric="dot").from_arrays(ITEMS, {"items": every})),
    ]


def candidates_of(histories: Sessions, parts: list[tuple[str, Any]], rng: np.random.Generator) -> Candidates:
    """Random candidates of histories; some have none."""
    sizes = rng.integers(0, N + 1, len(histories))
    items = [rng.permutation(N)[:size] for size in sizes]
    ranks = rng.integers(-1, 5, (int(sizes.sum()), len(parts))).astype(np.int32)
    scores = np.where(ranks < 0, np.nan, rng.normal(size=ranks.shape)).astype(np.float32)
    flat = np.concatenate([*items, np.zeros(0)]).astype(np.int32)
    models = [model for _, model in parts]
    queries = tuple(
        read_only(m.encoder(histories.reindex(m.vocab))) if isinstance(m, VectorModel) else None for m in models
    )
    return Candidates(np.concatenate([[0], np.cumsum(sizes)]), flat, ranks, scores, queries)


@pytest.mark.parametrize("side", [False, True], ids=["", "side"])
@pytest.mark.parametrize("times", [False, True], ids=["", "times"])
@settings(max_examples=40, deadline=None)
@given(lists, lists, st.integers(0, 2**32), st.booleans())
def test_equal_to_the_twin(
    side: bool, times: bool, train: list[list[int]], asked: list[list[int]], seed: int, timed: bool
) -> None:
    rng = np.random.default_rng(seed)
    if not any(train):
        train = [*train, [0]]
    sessions = sessions_of(train, rng, times=times, users=side)
    sessions = with_features(sessions) if side else sessions
    histories = sessions_of(asked, rng, times=timed, users=bool(rng.integers(2)))
    parts = parts_of(sessions, rng)
    candidates = candidates_of(histories, parts, rng)
    tables = FeatureTables.fit(sessions, parts)
    arrays = (read_only(getattr(candidates, a)) for a in ("offsets", "items", "ranks", "scores"))
    given_arrays = Candidates(*arrays, candidates.queries)
    result = tables.compute(histories, given_arrays)
    twin = Twin(sessions, parts)
    for c, question in enumerate(candidates.question_of.tolist()):
        expected = twin.features(histories, candidates, question, c)
        assert [*expected] == [*tables.names]
        np.testing.assert_allclose(result[c], [*expected.values()], rtol=2e-5, atol=2e-6)
    assert result.shape == (len(candidates.items), len(tables.names))
    assert result.dtype == np.float32


def example(*, times: bool = True) -> tuple[Sessions, list[tuple[str, Any]], Sessions, Candidates]:
    """Training sessions with side information, parts, 100 histories and their candidates."""
    rng = np.random.default_rng(0)
    train, histories = (
        with_features(sessions_of(rng.integers(0, N, (100, 5)).tolist(), rng, times=times, users=True))
        for _ in range(2)
    )
    parts = parts_of(train, rng)
    return train, parts, histories, candidates_of(histories, parts, rng)


def test_restored_from_arrays() -> None:
    train, parts, histories, candidates = example()
    tables = FeatureTables.fit(train, parts)
    arrays = {name: read_only(array) for name, array in tables.arrays.items()}
    assert all(array.dtype.kind in "iuf" for array in arrays.values())
    restored = FeatureTables.from_arrays(ITEMS, parts, arrays)
    assert restored.names == tables.names
    np.testing.assert_array_equal(restored.compute(histories, candidates), tables.compute(histories, candidates))
    assert restored.arrays.keys() == arrays.keys()


def test_threads_and_batches_do_not_change_features() -> None:
    train, parts, histories, candidates = example()
    whole = FeatureTables.fit(train, parts, threads=2).compute(histories, candidates, threads=2)
    tables = FeatureTables.fit(train, parts)
    np.testing.assert_array_equal(tables.compute(histories, candidates), whole)
    for q in range(len(histories)):
        own = slice(candidates.offsets[q], candidates.offsets[q + 1])
        size = np.array([0, own.stop - own.start])
        queries = tuple(None if of is None else of[q : q + 1] for of in candidates.queries)
        one = Candidates(size, candidates.items[own], candidates.ranks[own], candidates.scores[own], queries)
        np.testing.assert_array_equal(tables.compute(histories.take(np.array([q])), one), whole[own])


@pytest.mark.parametrize("name", [*FeatureTables.fit(*example()[:2]).arrays])
def test_wrong_arrays(name: str) -> None:
    train, parts, _, _ = example()
    arrays = dict(FeatureTables.fit(train, parts).arrays)
    if not name.endswith(".name") and name != "clock.table":  # without them, the features do not exist
        with pytest.raises(DataError):
            FeatureTables.from_arrays(ITEMS, parts, {key: arrays[key] for key in arrays if key != name})
    if not name.endswith((".name", "_letters")):  # any bytes are a name
        with pytest.raises(DataError):
            FeatureTables.from_arrays(ITEMS, parts, {**arrays, name: np.concatenate([arrays[name], arrays[name][:1]])})
    if name.endswith((".starts", "_offsets")):
        with pytest.raises(DataError):
            FeatureTables.from_arrays(ITEMS, parts, {**arrays, name: arrays[name][::-1]})
    if name.endswith((".items", ".group_of")):
        with pytest.raises(DataError, match=r"rows|below"):
            FeatureTables.from_arrays(ITEMS, parts, {**arrays, name: arrays[name] + 1000})


def test_every_feature_is_declared() -> None:
    train, parts, _, _ = example()
    words = {
        "part": [name for name, _ in parts],
        "table": ["cooccurrence", "sequence", "next", "recent-sequence"],
        "window": ["last 1 days", "last 3 days", "last 7 days"],
        "feature": ["brand", "tags", "price", "balance", "released", "land", "years"],
    }
    declared = {
        feature.name.replace(f"{{{key}}}", word)
        for feature in FEATURES
        for key, names in words.items()
        for word in names
    }
    names = FeatureTables.fit(train, parts).names
    assert {*names} <= declared
    assert len({*names}) == len(names)
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    assert all(feature.summary and "\n" not in feature.summary for feature in FEATURES)
    assert {feature.name for feature in FEATURES if "{" not in feature.name} <= {*names}
