"""Past sessions and side information of users."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest

from embedrec.data.features import Categories, Features
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.ranking.candidates import Candidates
from embedrec.ranking.feature_groups.users import UserItemFeatures, UserNumberFeatures
from embedrec.ranking.features import FeatureTables

ITEMS = Vocab(["a", "b"])
SESSIONS = replace(
    Sessions.of_lists([["a", "a"], ["b"], ["b"]], ITEMS),
    users=np.array([5, 7, 9]),
    user_features=Features(
        Vocab([7, 9]),
        numeric={"years": np.array([20.0, 30])},
        categorical={"land": Categories(np.array([0, 0]), np.array(["de"], dtype=object))},
    ),
)


def test_features_of_users() -> None:
    tables = FeatureTables.fit(SESSIONS, [])
    names = ("events of the user", "popularity by land of the user", "years of the user")
    columns = [tables.names.index(name) for name in names]
    histories = replace(Sessions.of_lists([[], [], []], ITEMS), users=np.array([5, 7, 8]))
    candidates = Candidates(
        np.array([0, 2, 4, 5]),
        np.array([0, 1, 0, 1, 0], dtype=np.int32),
        np.zeros((5, 0), dtype=np.int32),
        np.zeros((5, 0), dtype=np.float32),
        (),
    )
    nan = np.nan
    expected = [[log(3), nan, nan], [0, nan, nan], [0, 0, 20], [log(2), 2 / (2 * 0.5 + 2), 20], [nan, nan, nan]]
    np.testing.assert_allclose(tables.compute(histories, candidates)[:, columns], expected, rtol=1e-6)
    without = tables.compute(replace(histories, users=None), candidates)[:, columns]
    assert np.isnan(without).all()


def test_no_users() -> None:
    sessions = replace(SESSIONS, users=None)
    assert UserItemFeatures.fit(sessions) == UserItemFeatures.from_arrays(2, {}) == []
    assert UserNumberFeatures.fit(sessions, []) == UserNumberFeatures.from_arrays({}, []) == []


def test_missing_users() -> None:
    own = UserItemFeatures.fit(SESSIONS)[0].arrays
    with pytest.raises(DataError, match="the users of a ranker are missing"):
        UserItemFeatures.from_arrays(2, {name: own[name] for name in own if not name.startswith("ranker_users")})
