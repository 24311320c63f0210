"""Exact increments: every recipe that promises them, from day to day, against full fits of the same sessions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import Sessions, Vocab
from embedrec.data.session_changes import session_changes
from embedrec.models import MODELS, recipe_class
from embedrec.models.base import ExactIncrement, Model
from tests.conftest import read_only
from tests.data import strategies as draw
from tests.models.test_contract import Case, label, small_recipe

Day = dict[int, str]  # session id → its items
EXACT = [
    (name, settings)
    for name in MODELS
    if name != "svd" and issubclass(recipe_class(name), ExactIncrement)
    for settings in ({}, *getattr(recipe_class(name), "VARIANTS", ()))
]

LASTING = ["abc", "bcd", "cde", "def", "efa", "fab"]  # sessions of every day: a projection by SVD needs six


@st.composite
def days(data: st.DrawFn) -> list[Day]:
    """Sessions of three consecutive days: new ones come, old ones grow, shrink and disappear."""
    texts = st.text("abcdefghij", min_size=2, max_size=7)
    day = dict(enumerate([*LASTING, *data(st.lists(texts, min_size=2, max_size=8))]))
    result = [day]
    for _ in range(2):
        change = data(st.dictionaries(st.integers(len(LASTING), 18), st.one_of(st.none(), texts), max_size=5))
        day = {number: items for number, items in {**day, **change}.items() if items is not None}
        result.append(day)
    return result


def sessions_of(day: Day) -> Sessions:
    """Sessions in order of their ids, with times, as `sessionize` makes them: items by descending count."""
    ids, items = sorted(day), [i for number in sorted(day) for i in day[number]]
    offsets = np.cumsum([0, *(len(day[number]) for number in ids)])
    letters = Vocab(sorted(set(items)))
    times = np.repeat(1000 * np.array(ids), np.diff(offsets)) + np.arange(len(items))
    made = Sessions(offsets, letters.rows(items).astype(np.int32), letters, np.array(ids), times=np.sort(times))
    compact = made.drop_unused_items()
    return Sessions(
        read_only(compact.offsets),
        read_only(compact.items),
        compact.vocab,
        read_only(compact.ids),
        times=read_only(compact.times),  # type: ignore[arg-type]
    )


def same(a: Model, b: Model) -> None:
    """Every array has the same bytes, and so have the items and their counts."""
    assert a.recipe == b.recipe and a.arrays.keys() == b.arrays.keys()
    for name, array in a.arrays.items():
        assert (array.dtype, array.shape) == (b.arrays[name].dtype, b.arrays[name].shape)
        assert array.tobytes() == b.arrays[name].tobytes(), name
    for column in ("ids", "counts"):
        assert getattr(a.vocab, column).tolist() == getattr(b.vocab, column).tolist()


@pytest.mark.parametrize("case", EXACT, ids=label)
def test_increments_equal_full_fits(case: Case) -> None:
    recipe = small_recipe(*case)

    @draw.given(days(), examples=1 if "ann" in case[1].values() else 10)
    def run(days: list[Day]) -> None:
        old = sessions_of(days[0])
        model = recipe.fit(old, seed=1)
        for day in days[1:]:
            new = sessions_of(day)
            model = recipe.fit(new, seed=1, init=model, changes=session_changes(old, new))
            same(model, recipe.fit(new, seed=1))
            old = new

    run()
