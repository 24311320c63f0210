"""Side information of items."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from embedrec.data.features import Categories, Features, Lists
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.ranking.feature_groups.items import CategoryFeatures, NumberFeatures

ITEMS = Vocab(["a", "b", "c"])
SESSIONS = replace(
    Sessions.of_lists([["a", "b", "c"]], ITEMS),
    item_features=Features(
        Vocab(["c", "a", "x"]),
        numeric={"price": np.array([1, 2, -3.0]), "change": np.array([0.0, 1, 1]), "day": np.array([1.0, 2, 3])},
        categorical={"brand": Categories(np.array([1, -1, 0]), np.array(["p", "q"], dtype=object))},
        lists={"tags": Lists(np.array([0, 1, 4, 5]), np.array([0, 1, 0, 1, 0]), np.array(["s", "t"], dtype=object))},
        dates=frozenset(["day"]),
    ),
)


def test_categories_are_distinct_and_ascending() -> None:
    brand, tags = CategoryFeatures.fit(SESSIONS)
    assert (brand.starts.tolist(), brand.codes.tolist()) == ([0, 0, 0, 1], [1])
    assert (tags.starts.tolist(), tags.codes.tolist()) == ([0, 2, 2, 3], [0, 1, 0])
    assert tags.names == ("tags shared with last", "mean tags shared")
    assert CategoryFeatures.fit(replace(SESSIONS, item_features=None)) == []


def test_ratio_needs_numbers_above_0_that_are_no_dates() -> None:
    price, change, day = NumberFeatures.fit(SESSIONS)
    assert (price.ratio, change.ratio, day.ratio) == (True, False, False)  # the price of x, no item, is not used
    np.testing.assert_array_equal(price.values, np.float32([2, np.nan, 1]))
    assert NumberFeatures.from_arrays(3, price.arrays)[0].ratio
    with pytest.raises(DataError, match="not all positive"):
        NumberFeatures.from_arrays(3, {**price.arrays, "numbers.0.values": -price.values})
