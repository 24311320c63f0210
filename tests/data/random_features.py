"""Random features, and features as mappings."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from embedrec.data import Features, Vocab
from embedrec.data.features import Categories, Lists
from tests.conftest import read_only
from tests.data import strategies as draw

columns = st.lists(draw.texts.filter(lambda name: name != "id"), unique=True, max_size=4)


@st.composite
def features(draw_: st.DrawFn) -> Features:
    ids = draw_(
        st.one_of(st.lists(draw.texts, unique=True, max_size=8), st.lists(draw.numbers, unique=True, max_size=8))
    )
    m = len(ids)
    numeric: dict[str, Any] = {}
    categorical: dict[str, Any] = {}
    lists: dict[str, Any] = {}
    for name in draw_(columns):
        names = np.array(draw_(st.lists(draw.texts, unique=True, max_size=4)), dtype=object)
        kind = draw_(st.sampled_from(["numeric", "categorical", "lists"]))
        if kind == "numeric":
            number = st.one_of(st.just(np.nan), st.floats(width=32, allow_nan=False, allow_infinity=False))
            numeric[name] = read_only(np.array(draw_(st.lists(number, min_size=m, max_size=m)), dtype=np.float32))
        elif kind == "categorical":
            codes = draw_(st.lists(st.integers(-1, len(names) - 1), min_size=m, max_size=m))
            categorical[name] = Categories(read_only(np.array(codes, dtype=np.int32)), names)
        else:
            row = st.lists(st.integers(0, max(len(names) - 1, 0)), max_size=3 if len(names) else 0)
            rows = draw_(st.lists(row, min_size=m, max_size=m))
            flat = np.array([c for row in rows for c in row], dtype=np.int32)
            lists[name] = Lists(read_only(np.cumsum([0, *map(len, rows)])), read_only(flat), names)
    return Features(Vocab(ids), numeric, categorical, lists)


def as_rows(given: Features) -> dict[Any, dict[str, Any]]:
    """Features as a mapping of ids to what is known of them."""
    out: dict[Any, dict[str, Any]] = {}
    for row, i in enumerate(given.vocab.ids.tolist()):
        out[i] = {name: None if np.isnan(c[row]) else c[row].item() for name, c in given.numeric.items()}
        for name, words in given.categorical.items():
            out[i][name] = None if words.codes[row] < 0 else words.names[words.codes[row]]
        for name, lists in given.lists.items():
            out[i][name] = [lists.names[c] for c in lists[row]]
    return out


def same(a: Features, b: Features) -> bool:
    coded = [
        (x.codes.tolist(), x.names.tolist()) == (y.codes.tolist(), y.names.tolist())
        for x, y in zip(
            (*a.categorical.values(), *a.lists.values()), (*b.categorical.values(), *b.lists.values()), strict=True
        )
    ]
    return as_rows(a) == as_rows(b) and a.about() == b.about() and all(coded)
