"""Filters and caps against slow references."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.data.features import Categories, Features
from embedrec.data.features import Lists as ListFeature
from embedrec.errors import SettingsError
from embedrec.export.policies.session_index import index_sessions
from embedrec.export.policies.thresholds import Cap, MinEvidence, MinScore, Mutual, cap_feature
from tests.export.lists import as_lists
from tests.export.policies.cases import ITEMS, LISTS, N, apply_policy, logs, sessions_of_items


def test_min_score_removes_lower_scores() -> None:
    threshold = float(np.float32(0.3))
    assert apply_policy(MinScore(0.3)) == [[r for r in results if r[1] >= threshold] for results in as_lists(LISTS)]


def test_min_evidence_equals_a_slow_reference() -> None:
    sessions = logs()
    item_sessions = sessions_of_items(sessions)
    expected = [
        [r for r in results if len(item_sessions[seed] & item_sessions[r[0]]) >= 2]
        for seed, results in enumerate(as_lists(LISTS))
    ]
    assert apply_policy(MinEvidence(2, index_sessions(sessions, ITEMS))) == expected
    assert 0 < sum(map(len, expected)) < sum(map(len, as_lists(LISTS)))


def test_mutual_keeps_results_that_list_the_seed() -> None:
    listed = [{row for row, _ in results} for results in as_lists(LISTS)]
    expected = [[r for r in results if seed in listed[r[0]]] for seed, results in enumerate(as_lists(LISTS))]
    assert apply_policy(Mutual(LISTS.rows.astype(np.int32))) == expected


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_caps_equal_a_slow_reference(limit: int) -> None:
    rng = np.random.default_rng(2)
    values = [sorted(rng.choice(5, rng.integers(0, 3), replace=False).tolist()) for _ in range(N)]
    offsets = np.concatenate([[0], np.cumsum([len(v) for v in values])])
    codes = np.array([c for v in values for c in v], dtype=np.int32)
    expected = []
    for results in as_lists(LISTS):
        used: Counter[int] = Counter()
        expected.append([])
        for row, score in results:
            if all(used[value] < limit for value in values[row]):
                used.update(values[row])
                expected[-1].append((row, score))
    assert apply_policy(Cap(limit, offsets, codes)) == expected


def test_features_of_every_kind_are_capped() -> None:
    names = np.array(["x", "y"], dtype=object)
    features = Features(
        Vocab(["i3", "i1", "i0"]),
        {"year": np.array([1990, np.nan, 1990], dtype=np.float32)},
        {"artist": Categories(np.array([0, -1, 1]), names)},
        {"tags": ListFeature(np.array([0, 2, 2, 3]), np.array([0, 1, 1]), names)},
    )
    vocab = Vocab(["i0", "i1", "i2", "i3"])
    for name, offsets, codes in (
        ("artist", [0, 1, 1, 1, 2], [1, 0]),
        ("year", [0, 1, 1, 1, 2], [0, 0]),
        ("tags", [0, 1, 1, 1, 3], [1, 0, 1]),
    ):
        cap = cap_feature(2, name, features, vocab)
        assert (cap.offsets.tolist(), cap.codes.tolist()) == (offsets, codes)
    with pytest.raises(SettingsError, match="items have no feature 'artits' to cap; did you mean 'artist'"):
        cap_feature(2, "artits", features, vocab)
