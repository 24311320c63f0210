"""Types of the columns of feature tables."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from embedrec.errors import DataError
from embedrec.tabular.feature_columns import KINDS, FeatureColumn, Kind, is_code_name


def column(*parts: Any, name: str = "x", kind: Kind | None = None, split: str = "|") -> tuple[str, list[Any], bool]:
    """The Arrow type of a column of several parts, its values, and whether they are dates."""
    feature = FeatureColumn(name, kind, split)
    for part in parts:
        feature.add(part if isinstance(part, pa.Array) else pa.array(part), name, "f.csv")
    joined = feature.whole()
    return str(joined.type), joined.to_pylist(), feature.dated


TEXT, NUMBER, LIST = "string", "double", "list<item: string>"


@pytest.mark.parametrize("name", ["id", "category_id", "ZIP", "storeId", "productSKU", "item_codes", "mbid"])
def test_names_of_codes_are_recognised(name: str) -> None:
    assert is_code_name(name)


@pytest.mark.parametrize("name", ["video", "idea", "valid", "zipper", "code_name", "encoded", "Paid"])
def test_other_names_are_not_codes(name: str) -> None:
    assert not is_code_name(name)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["1", "2.5", " -3e2 "], NUMBER, [1.0, 2.5, -300.0]),
        (["1", "NA", "", "nan"], NUMBER, [1.0, None, None, None]),
        (["007", "1"], TEXT, ["007", "1"]),
        (["1", "x"], TEXT, ["1", "x"]),
        (["1", "inf"], TEXT, ["1", "inf"]),
        ([" rock ", "NULL"], TEXT, ["rock", None]),
        ([str(2**53), "1"], TEXT, [str(2**53), "1"]),
        (["a|b", " c |", None], LIST, [["a", "b"], ["c"], []]),
        ([1, 2, None], NUMBER, [1.0, 2.0, None]),
        ([2**53, 1], TEXT, [str(2**53), "1"]),
        ([True, False], NUMBER, [1.0, 0.0]),
        ([Decimal("1.50")], NUMBER, [1.5]),
        ([["a ", ""], None, ["b"]], LIST, [["a"], [], ["b"]]),
        ([[1, 2]], LIST, [["1", "2"]]),
        ([None, None], NUMBER, [None, None]),
    ],
)
def test_types_are_guessed_from_the_values(values: list[Any], kind: str, expected: list[Any]) -> None:
    assert column(values) == (kind, expected, False)


def test_every_value_of_a_long_column_is_checked() -> None:
    assert column(["1"] * 100)[0] == NUMBER
    assert column(["1"] * 100 + ["01"])[0] == TEXT


def test_dates_are_days_since_1970() -> None:
    assert column(["1970-01-02", None, "1970-01-03 12:00:00"]) == (NUMBER, [1.0, None, 2.5], True)
    assert column(pa.array([datetime(1970, 1, 11), None])) == (NUMBER, [10.0, None], True)
    assert column(["1970-01-02", "1970-02-30"]) == (TEXT, ["1970-01-02", "1970-02-30"], False)


def test_codes_are_texts() -> None:
    """Ids in a column of floats, as pandas writes them if some are missing, become texts of whole numbers."""
    assert column([7.0, None], name="category_id") == (TEXT, ["7", None], False)
    assert column([7, 8], name="zip")[1] == ["7", "8"]
    assert column([7.5, 8.0], name="zip") == (NUMBER, [7.5, 8.0], False)


def test_parts_of_several_types_have_a_common_type() -> None:
    assert column([1, 2], ["x"]) == (TEXT, ["1", "2", "x"], False)
    assert column([1, 2], [2.5]) == (NUMBER, [1.0, 2.0, 2.5], False)
    assert column(["a"], [["b", "c"]]) == (LIST, [["a"], ["b", "c"]], False)
    floats = pa.array([1.5], pa.float32())
    assert column(floats, floats)[0] == "float" and column(floats, [1])[0] == NUMBER


def test_types_may_be_given() -> None:
    assert KINDS == ("number", "text", "list", "date")
    assert column(["007", "x"], kind="number") == (NUMBER, [7.0, None], False)
    assert column(["1", "NA"], kind="text") == (TEXT, ["1", None], False)
    assert column([1, 2], kind="text")[:2] == (TEXT, ["1", "2"])
    assert column(["a", "b;c"], kind="list", split=";")[:2] == (LIST, [["a"], ["b", "c"]])
    assert column(["1970-01-02"], kind="date") == (NUMBER, [1.0], True)
    assert column([7], name="zip", kind="number") == (NUMBER, [7.0], False)


def test_invalid_dates_are_refused() -> None:
    with pytest.raises(DataError, match=r"^the column 'x' must contain dates as 2024-05-31, but does not$"):
        column(["1970-01-02", "soon"], kind="date")


def test_unsupported_types_are_refused() -> None:
    message = "^the column 'x' of f.csv has the type struct<a: int64>, but a feature is a number, a text or a list$"
    with pytest.raises(DataError, match=message):
        column([{"a": 1}])
