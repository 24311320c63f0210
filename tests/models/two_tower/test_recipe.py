"""Two towers: losses by hand, users, cold items."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embedrec.data import Features, Vocab
from embedrec.data.events import DAY
from embedrec.data.features import Categories
from embedrec.errors import DataError, SettingsError
from embedrec.models.feature_encoder import all_users
from embedrec.models.two_tower.recipe import TwoTower
from tests.conftest import of_lists
from tests.models.two_tower.toy_learner import SMALL
from tests.training.toy import clustered_sessions, featured


@pytest.mark.parametrize("scoring", ["cosine", "dot"])
def test_trend_is_added_to_every_score(scoring: Any) -> None:
    plain = clustered_sessions(20)
    sessions = replace(plain, times=np.arange(len(plain.items)) * DAY)
    settings: dict[str, Any] = {"scoring": scoring, "temperature": 0.5, "patience": None}
    model = TwoTower(**{**SMALL, **settings, "trend": 5.0}).fit(sessions)
    flat = TwoTower(**{**SMALL, **settings}).fit(sessions)
    histories = sessions.take(np.arange(6)).reindex(model.vocab)
    rise, n = model.arrays["trend"], len(model.vocab)
    assert rise.max() > 0 > rise.min()
    with_trend, without = (m.recommend(histories, n, exclude_seen=False) for m in (model, flat))
    for q in range(len(histories)):
        scores = dict(zip(without.rows[q].tolist(), without.scores[q].tolist(), strict=True))
        wanted = [scores[row] + 0.5 * rise[row] for row in with_trend.rows[q].tolist()]
        np.testing.assert_allclose(with_trend.scores[q], wanted, rtol=1e-4, atol=1e-5)
    assert model.encode(histories).vectors.shape == (6, 8)
    assert model.scale_norms(0.5).recommend(histories, 3, exclude_seen=False).rows.tolist() == (
        flat.scale_norms(0.5).recommend(histories, 3, exclude_seen=False).rows.tolist()
    )
    with pytest.raises(SettingsError, match="trend of two-tower needs times, but the sessions have none; leave it out"):
        TwoTower(trend=3.0).fit(plain)


@pytest.mark.parametrize("settings", [{}, {"loss": "bce", "scoring": "dot", "temperature": 1.0, "negatives": 8}])
def test_items_of_the_same_sessions_are_near(settings: Any) -> None:
    sessions = clustered_sessions(240)
    model = TwoTower(**{**SMALL, "epochs": 15, "patience": None, **settings}).fit(sessions, seed=2)
    groups = np.array([int(str(i)[1:]) // 5 for i in sessions.vocab.ids])
    answer = model.recommend(sessions, 3, exclude_seen=False).rows
    assert (groups[answer] == groups[sessions.items[sessions.offsets[:-1]]][:, None]).mean() > 0.95
    near = model.embeddings.search(model.embeddings.vectors, 4).rows
    assert (groups[near] == groups[:, None]).mean() > 0.9


def test_known_users_change_results_and_unknown_ones_do_not() -> None:
    sessions = clustered_sessions(240)
    model = TwoTower(**{**SMALL, "epochs": 15, "users": True, "patience": None}).fit(sessions, seed=2)
    groups = np.array([int(str(i)[1:]) // 5 for i in sessions.vocab.ids])
    empty = of_lists([[]] * 13, sessions.vocab)
    users = replace(empty, users=np.array([f"u{i}" for i in range(12)] + ["nobody"], dtype=object))
    encoded = model.encoder(users)
    assert encoded[:12].any(axis=1).all() and not encoded[12].any()
    answer = groups[model.recommend(users, 4).rows[:12]]
    assert (answer == (np.arange(12) % 6)[:, None]).mean() > 0.9
    some = sessions.take(np.arange(5))
    stranger = replace(some, users=np.array(["nobody"] * 5, dtype=object))
    np.testing.assert_array_equal(model.encoder(stranger), model.encoder(replace(some, users=None)))
    assert (model.encoder(some) != model.encoder(stranger)).any()
    numbered = replace(sessions, users=np.arange(len(sessions)) % 12)
    whole = TwoTower(**{**SMALL, "users": True}).fit(numbered, seed=2)
    assert whole.arrays["user_ids"].tolist() == list(range(12))


def test_cold_items_are_found() -> None:
    sessions = featured(clustered_sessions(240))
    model = TwoTower(**{**SMALL, "epochs": 25, "patience": None, "id_dropout": 0.3}).fit(sessions, seed=0)
    n = len(sessions.vocab)
    assert len(model.vocab) == n + 12 and model.vocab.ids[:n].tolist() == sessions.vocab.ids.tolist()
    assert model.arrays["cold"].tolist() == [0] * n + [1] * 12
    assert model.vocab.counts is not None and model.vocab.counts[n:].tolist() == [0] * 12
    groups = np.array(
        [(int(str(i)[1:]) - 100 if int(str(i)[1:]) >= 100 else int(str(i)[1:])) // 5 for i in model.vocab.ids]
    )
    assert np.linalg.norm(model.embeddings.vectors[n:], axis=1).min() > 0.1
    near = model.embeddings.search(model.embeddings.vectors[n:], 5).rows
    assert (groups[near] == groups[n:, None]).mean() > 0.9
    histories = sessions.take(np.arange(60))
    answer = model.recommend(histories, 7, exclude_seen=False).rows
    assert (answer >= n).any(axis=1).mean() > 0.9  # all seven of a group are answered, two of them cold
    plain = TwoTower(**{**SMALL, "features": False}).fit(sessions, seed=0)
    assert len(plain.vocab) == n and not plain.arrays["cold"].any()


def test_users_with_features_only_have_recommendations() -> None:
    """Sessions of one group each, of users who say which; of users without a session nothing else is known."""
    plain = clustered_sessions(240)
    group_of = np.array([int(str(i)[1:]) // 5 for i in plain.vocab.ids])
    groups = group_of[plain.items[plain.offsets[:-1]]]
    names = np.array([f"g{g}" for g in range(6)], dtype=object)
    ids = [*(f"u{g}{n}" for g in range(6) for n in range(3)), *(f"new{g}" for g in range(6))]
    codes = np.array([*np.repeat(np.arange(6), 3), *range(6)], dtype=np.int32)
    features = Features(Vocab(ids), categorical={"group": Categories(codes, names)})
    users = np.array([f"u{g}{n % 3}" for n, g in enumerate(groups)], dtype=object)
    sessions = replace(plain, users=users, user_features=features)
    settings = {**SMALL, "epochs": 20, "users": True, "history": 0, "id_dropout": 0.5, "patience": None}
    model = TwoTower(**settings).fit(sessions, seed=1)
    empty = of_lists([""] * 6, model.vocab)
    queries = replace(empty, users=np.array([f"new{g}" for g in range(6)], dtype=object))
    answer = model.recommend(queries, 4).rows
    assert (group_of[answer] == np.arange(6)[:, None]).mean() > 0.9
    without = TwoTower(**{**settings, "features": False}).fit(sessions, seed=1)
    assert not without.encoder(queries).any()
    numbered = replace(sessions, users=np.arange(len(sessions)))
    assert all_users(numbered, features=True).ids.tolist() == list(range(len(sessions)))  # type: ignore[union-attr]


def test_arrays_that_do_not_fit_are_refused() -> None:
    model = TwoTower(**{**SMALL, "users": True, "query_layers": "5"}).fit(clustered_sessions(), seed=0)
    for name, array in model.arrays.items():
        with pytest.raises(DataError):
            model.recipe.from_arrays(model.vocab, {**model.arrays, name: array[:-1]})
