"""Groups of a feature, and clusters with labels."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.data.features import Categories, Features, Lists
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError
from embedrec.serving.explore.layout import Layout
from embedrec.serving.explore.map_groups import NONE, clusters, feature_groups

VOCAB = Vocab(list("abcdef"))


def features(**columns: object) -> Features:
    """Features of the items b … f and one that is not in the vocabulary, in another order."""
    return Features(Vocab(list("fedcbx")), **columns)  # type: ignore[arg-type]


def test_the_most_frequent_values_are_groups() -> None:
    names = np.array([f"v{n}" for n in range(9)], dtype=object)
    codes = np.array([3, 3, 8, -1, 8, 8], dtype=np.int32)
    groups = feature_groups(features(categorical={"kind": Categories(codes, names)}), VOCAB, "kind")
    assert (groups.names, groups.ordered) == (["v3", "v8"], False)
    assert groups.codes.tolist() == [NONE, 1, NONE, 1, 0, 0]
    many = Features(
        Vocab(np.arange(20)), categorical={"k": Categories(np.arange(20, dtype=np.int32) // 2, names_of(10))}
    )
    assert feature_groups(many, Vocab(np.arange(20)), "k").codes.tolist() == [*np.repeat(np.arange(7), 2), *[NONE] * 6]


def names_of(count: int) -> np.ndarray:
    return np.array([f"n{n}" for n in range(count)], dtype=object)


def test_an_item_of_several_values_has_the_first_frequent_one() -> None:
    offsets = np.array([0, 2, 2, 3, 5, 6, 6])
    codes = np.array([1, 0, 1, 0, 1, 1], dtype=np.int32)
    groups = feature_groups(features(lists={"tag": Lists(offsets, codes, names_of(3))}), VOCAB, "tag")
    assert groups.names == ["n1", "n0"]
    assert groups.codes.tolist() == [NONE, 0, 1, 0, NONE, 0]


def test_numbers_are_ranges_with_as_many_items_each() -> None:
    years = Features(Vocab(np.arange(11)), numeric={"year": np.array([*range(2000, 2010), np.nan])})
    groups = feature_groups(years, Vocab(np.arange(11)), "year")
    assert groups.ordered
    assert groups.codes.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, NONE]
    assert groups.names[0] == "2000 – 2001" and groups.names[-1] == "2008 – 2009"
    equal = Features(Vocab([1, 2]), numeric={"year": np.array([5.0, 5.0])})
    assert feature_groups(equal, Vocab([1, 2]), "year").names == ["5"]
    none = Features(Vocab([1]), numeric={"year": np.array([np.nan])})
    assert feature_groups(none, Vocab([1]), "year").codes.tolist() == [NONE]


def test_dates_are_written_as_dates() -> None:
    days = Features(Vocab([1, 2]), numeric={"day": np.array([0.0, 0.0])}, dates=frozenset(["day"]))
    assert feature_groups(days, Vocab([1, 2]), "day").names == ["1970-01-01"]


def test_an_unknown_feature_is_refused() -> None:
    known = features(numeric={"year": np.zeros(6)})
    with pytest.raises(SettingsError, match=r"^the items have no feature 'yaer'; did you mean 'year'\?$"):
        feature_groups(known, VOCAB, "yaer")


def test_clusters_are_areas_named_by_typical_values_and_items() -> None:
    n = 80
    vocab = Vocab(np.arange(n), names_of(n))
    corners = np.repeat(np.array([[-1, -1], [1, 1]], np.float32), n // 2, axis=0)
    layout = Layout(corners, np.repeat([0, 1], n // 2).astype(np.int32), np.array([[-1, -1], [1, 1]], np.float32))
    kinds = Categories(np.repeat([0, 1], n // 2).astype(np.int32), np.array(["rock", "jazz"], object))
    of_item, made = clusters(layout, vocab, np.arange(n)[::-1], Features(vocab, categorical={"kind": kinds}))
    assert sorted((one.text, one.x, one.y, one.items) for one in made) == [
        ("jazz: n40", 1.0, 1.0, 40),
        ("rock: n0", -1.0, -1.0, 40),
    ]
    assert {made[number].text for number in of_item[:40]} == {"rock: n0"}
    assert len({one.colour for one in made}) == 2
    _, plain = clusters(layout, vocab, np.zeros(n), None)
    assert sorted(one.text for one in plain) == ["n0", "n40"]


def test_no_items_have_no_clusters() -> None:
    empty = Layout(np.zeros((0, 2), np.float32), np.zeros(0, np.int32), np.zeros((0, 2), np.float32))
    of_item, made = clusters(empty, Vocab(np.arange(0)), np.zeros(0), None)
    assert (len(of_item), made) == (0, [])
