from __future__ import annotations

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Features, Vocab
from embedrec.data.feature_conditions import Condition, match_all
from embedrec.data.features import Categories, Lists
from embedrec.errors import SettingsError

WORDS = np.array(["rock", "pop", "Jazz & Blues"], dtype=object)
SIGNS = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@pytest.fixture
def features() -> Features:
    """Five items; of the last nothing is known."""
    return Features(
        Vocab(list("abcde")),
        {"year": np.array([1999, 2000, 2001, 2000.5, np.nan])},
        {"genre": Categories(np.array([0, 1, 2, 0, -1]), WORDS)},
        {"tags": Lists(np.array([0, 2, 3, 3, 4, 4]), np.array([0, 1, 1, 2]), WORDS)},
    )


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("year>=2000", "bcd"),
        ("year > 2000", "cd"),
        ("year<2e3", "a"),
        ("year<=2000", "ab"),
        ("year=2000", "b"),
        ("year=2000|2001", "bc"),
        ("year!=2000", "acde"),
        ("genre=rock", "ad"),
        ("genre = rock | pop ", "abd"),
        ("genre!=rock", "bce"),
        ("genre=Jazz & Blues", "c"),
        ("tags=pop", "ab"),
        ("tags=rock|Jazz & Blues", "ad"),
        ("tags!=pop", "cde"),
    ],
)
def test_conditions_select_matching_rows(text: str, met: str, features: Features) -> None:
    condition = Condition.of(text)
    assert features.vocab.ids[condition.matches(features)].tolist() == list(met)
    assert Condition.of(str(condition)) == condition


def test_match_all_needs_every_condition(features: Features) -> None:
    conditions = map(Condition.of, ("year>=2000", "genre!=pop", "tags!=rock"))
    assert features.vocab.ids[match_all(conditions, features)].tolist() == ["c", "d"]
    assert match_all([], features).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("year", "a condition is a feature, one of = != < <= > >= and a value, such as year>=2000 .*, but is 'year'"),
        ("=rock", "but is '=rock'"),
        ("year>=", "but is 'year>='"),
        ("genre=rock|", r"but is 'genre=rock\|'"),
        ("year>1|2", r"> compares with one number, but was given '1\|2'"),
        ("yeah=1", "no feature of items is called 'yeah'; did you mean 'year'"),
        ("xyz=1", "no feature of items is called 'xyz'; available are year, genre, tags"),
        ("year=old", "year contains numbers, but is compared with 'old'"),
        ("genre>rock", "genre contains text, which > cannot compare; use = or !="),
        ("genre=Rock", "no item has 'Rock' in 'genre'; did you mean 'rock'"),
        ("tags=folk", "no item has 'folk' in 'tags'; available are rock, pop, Jazz & Blues"),
    ],
)
def test_invalid_conditions_are_refused(text: str, message: str, features: Features) -> None:
    with pytest.raises(SettingsError, match=message):
        Condition.of(text).matches(features)


@given(
    st.lists(st.one_of(st.none(), st.integers(-3, 3)), min_size=1, max_size=8),
    st.sampled_from(sorted(SIGNS)),
    st.integers(-3, 3),
)
def test_numbers_are_compared_like_in_python(column: list[int | None], sign: str, value: int) -> None:
    numbers = np.array([np.nan if x is None else x for x in column], dtype=np.float32)
    features = Features(Vocab(np.arange(len(column))), {"x": numbers})
    met = Condition.of(f"x{sign}{value}").matches(features)
    assert met.tolist() == [sign == "!=" if x is None else SIGNS[sign](x, value) for x in column]


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("released>=2020-01-01", "bc"),
        ("released>2020-01-01", "c"),
        ("released<2020", "a"),
        ("released>=2020-06", "c"),
        ("released=2020-01-01", "b"),
        ("released>=2020-01-01T00:00:00+02:00", "bc"),
        ("released!=2020-01-01", "acd"),
        ("released>=18262", "bc"),
        ("released<-3.5", ""),
    ],
)
def test_dates_are_compared_by_day(text: str, met: str) -> None:
    days = {"released": np.array([0, 18262, 18444.5, np.nan])}
    features = Features(Vocab(list("abcd")), days, dates=frozenset({"released"}))
    assert features.vocab.ids[Condition.of(text).matches(features)].tolist() == list(met)
    with pytest.raises(SettingsError, match="released contains dates, such as 2024-05-31, but is compared with 'soon'"):
        Condition.of("released>soon").matches(features)


def test_large_numbers_are_compared_exactly() -> None:
    features = Features(Vocab(list("abc")), {"x": np.array([16777216, 16777217, 0.1])})
    assert Condition.of("x=16777217").matches(features).tolist() == [False, True, False]
    assert Condition.of("x=0.1").matches(features).tolist() == [False, False, True]
