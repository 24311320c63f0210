"""Features as text: by hand, and the differences against a slow loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Features, Vocab
from embedrec.data.features import Categories, Lists
from embedrec.data.item_text import feature_differences, format_features, known_features

NAMES = np.array(["Queen", "ABBA"], dtype=object)
GENRES = np.array(["rock", "pop", "disco", "live"], dtype=object)
FEATURES = Features(
    Vocab(["c", "a", "b"]),
    {"year": np.array([1975, np.nan, 1980]), "tempo": np.array([120.5, 99, np.nan]), "day": np.array([0, 59.7, -1])},
    {"artist": Categories([0, 1, -1], NAMES)},
    {"genres": Lists([0, 2, 2, 6], [0, 1, 0, 1, 2, 3], GENRES)},
    frozenset({"day"}),
)
ITEMS = Vocab(["a", "unknown", "b", "c"])


def test_known_features_omit_missing_values() -> None:
    """Categories first, then lists, then numbers; whole numbers are integers, dates are ISO 8601."""
    assert known_features(FEATURES, ITEMS, np.array([3, 0, 1, 2])) == [
        {"artist": "Queen", "genres": ["rock", "pop"], "year": 1975, "tempo": 120.5, "day": "1970-01-01"},
        {"artist": "ABBA", "tempo": 99, "day": "1970-03-02"},
        {},
        {"genres": ["rock", "pop", "disco", "live"], "year": 1980, "day": "1969-12-31"},
    ]
    values = known_features(FEATURES, ITEMS, np.array([3]))[0]
    assert list(values) == ["artist", "genres", "year", "tempo", "day"]
    assert [type(value) for value in values.values()] == [str, list, int, float, str]
    assert known_features(FEATURES, ITEMS, np.zeros(0, dtype=np.int64)) == []


def test_features_are_one_line() -> None:
    queen, abba, unknown, many = known_features(FEATURES, ITEMS, np.array([3, 0, 1, 2]))
    assert format_features(queen) == "artist=Queen, genres=rock|pop, year=1975, tempo=120.5, day=1970-01-01"
    assert format_features(queen, only=["year", "artist"]) == "artist=Queen, year=1975"
    assert format_features(abba, only=["year"]) == ""
    assert format_features(unknown) == ""
    assert format_features(many) == "genres=rock|pop|disco|…, year=1980, day=1969-12-31"
    assert format_features({"share": 1 / 3, "large": 1234567.5}) == "share=0.333333, large=1.23457e+06"


@pytest.mark.parametrize(
    ("rows", "differences"),
    [
        ([3, 3], ["", ""]),
        ([3], [""]),
        ([], []),
        ([3, 0], ["artist=Queen, genres=rock|pop, year=1975", "artist=ABBA"]),
        ([1, 1], ["", ""]),
        ([1, 0], ["", "artist=ABBA, tempo=99, day=1970-03-02"]),
    ],
)
def test_differences_are_the_first_three_features_that_differ(rows: list[int], differences: list[str]) -> None:
    assert feature_differences(FEATURES, ITEMS, np.array(rows, dtype=np.int64)) == differences


values = st.lists(st.tuples(*[st.sampled_from([None, "x", "y"])] * 5), min_size=1, max_size=4)


@given(values)
def test_differences_against_a_slow_loop(table: list[tuple[str | None, ...]]) -> None:
    names = np.array(["x", "y"], dtype=object)
    codes = {None: -1, "x": 0, "y": 1}
    columns = {f"f{c}": Categories([codes[row[c]] for row in table], names) for c in range(5)}
    vocab = Vocab(list(range(len(table))))
    shown = feature_differences(Features(vocab, {}, columns), vocab, np.arange(len(table)))
    order: list[int] = []  # features by the first item that has them
    for row in table:
        order += [c for c in range(5) if row[c] is not None and c not in order]
    differing = [c for c in order if any(row[c] != table[0][c] for row in table)][:3]
    expected: list[Any] = [", ".join(f"f{c}={row[c]}" for c in sorted(differing) if row[c]) for row in table]
    assert shown == expected
