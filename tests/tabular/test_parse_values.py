"""Ids and numbers of Arrow columns, and masks of invalid values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import strategies as st

from embedrec.errors import DataError
from embedrec.tabular.parse_values import cast, floats, ids, number_text, numbers, positions, without_missing
from tests.data import strategies as draw


@pytest.mark.parametrize("text", ["2024-05-31 23:59:00", "soon", "2024-02-30", "31.5.2024", "2024-13-01 00:00"])
@pytest.mark.parametrize("target", [pa.float64(), pa.int64(), pa.timestamp("ns"), pa.date32()])
def test_a_column_without_valid_values_needs_few_casts(text: str, target: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    casts, arrow_cast = [], pc.cast

    def counted(column: Any, *arguments: Any, **options: Any) -> Any:
        casts.append(len(column))
        return arrow_cast(column, *arguments, **options)

    monkeypatch.setattr(pc, "cast", counted)
    result, wrong = cast(pa.array([text] * 1000), target)
    monkeypatch.undo()
    assert 1 <= len(casts) <= 2
    assert wrong.tolist() == np.equal(result.is_null().to_numpy(zero_copy_only=False), True).tolist()
    assert wrong.all() != (text == "2024-05-31 23:59:00" and target == pa.timestamp("ns"))


@draw.given(st.lists(st.text("0123456789-:T .+eEnaifZx/", max_size=20), max_size=9))
def test_casts_equal_those_of_single_values(texts: list[str]) -> None:
    texts += ["2024-02-29T23:59:59.5", "1e5", "-inf", "NaN", "12", "2024-05-31"]
    for target in (pa.float64(), pa.int64(), pa.timestamp("ns"), pa.date32()):
        result, wrong = cast(pa.array([*texts, None]), target)
        for text, value, bad in zip([*texts, None], result, wrong.tolist(), strict=True):
            try:
                alone = pc.cast(pa.array([text]), target)[0]
            except pa.ArrowInvalid:
                assert bad and not value.is_valid
            else:
                assert not bad and (value.equals(alone) or str(value.as_py()) == "nan")


def values_and_problems(parse: Any, column: Any, **options: Any) -> tuple[list[Any], dict[str, list[int]]]:
    """The parsed values, and message → rows of the problems that occur."""
    values, problems = parse(column, "x", **options)
    result: dict[str, list[int]] = {}
    for mask, message in problems:
        if mask.any():
            result[message] = sorted([*result.get(message, []), *np.flatnonzero(mask).tolist()])
    return values.tolist() if isinstance(values, np.ndarray) else values.to_pylist(), result


@pytest.mark.parametrize(
    ("column", "values", "problems"),
    [
        (pa.array(["a", "", None, "7"]), ["a", "", None, "7"], {"x is missing": [1, 2]}),
        (pa.array([5, None, -7]), [5, None, -7], {"x is missing": [1]}),
        (pa.array([5.0, 5.5, None]), [5, 0, 0], {"x is missing": [2], "x must be a whole number or a text": [1]}),
        (pa.array([2**63], pa.uint64()), ["9223372036854775808"], {}),
        (pa.array([Decimal("5.0"), Decimal("7.0")]), [5, 7], {}),
        (pa.nulls(2), [None, None], {"x is missing": [0, 1]}),
    ],
)
def test_ids_are_parsed(column: Any, values: list[Any], problems: dict[str, list[int]]) -> None:
    assert values_and_problems(ids, column) == (values, problems)


def test_ids_may_be_required_to_be_whole_numbers() -> None:
    column = pa.array(["5", "05", "5.0", "-7", "x", "0x10", "9" * 30])
    assert values_and_problems(ids, column, whole=True)[1] == {"x must be a whole number": [1, 2, 4, 5, 6]}
    values, problems = values_and_problems(ids, column, kind="number")
    assert values == [5, 5, 5, -7, None, None, None]
    assert problems == {"x must be a whole number of 64 bits": [4, 5, 6]}


def test_line_breaks_in_ids_are_reported() -> None:
    column = pa.array(["a", "b\nc"])
    problem = "x contains a line break, possibly after an unclosed quote"
    assert values_and_problems(ids, column, one_line=True)[1] == {problem: [1]}
    assert values_and_problems(ids, column)[1] == {}


def test_numbers_become_ids_of_text() -> None:
    assert values_and_problems(ids, pa.array([5.0, 5.5, None]), written=True) == (
        ["5", "5.5", None],
        {"x is missing": [2]},
    )
    assert [number_text(n) for n in (5, 5.0, 5.5, -0.25, 1e300)] == ["5", "5", "5.5", "-0.25", "1e300"]


def test_numbers_are_parsed() -> None:
    column = pa.array(["1.5", "NA", "x", "1e300", "inf", "-2"])
    values, problems = values_and_problems(numbers, column)
    assert (values[0], values[5]) == (1.5, -2)
    assert problems["x is missing"] == [1] and problems["x must be a number"] == [2]
    assert set(problems["x must be a finite number"]) >= {3, 4}
    values, problems = values_and_problems(positions, column)
    assert values[3] == 1e300 and 3 not in problems["x must be a finite number"]
    assert floats(pa.array([1, None]), "x")[0].tolist() == pytest.approx([1, np.nan], nan_ok=True)


@pytest.mark.parametrize("parse", [ids, floats])
def test_columns_of_other_types_are_refused(parse: Any) -> None:
    with pytest.raises(DataError, match=r"^the column 'x' has the type bool, but "):
        parse(pa.array([True]), "x")


def test_words_for_missing_values_become_null() -> None:
    column = pa.array(["a", "", "NA", "null", "-"])
    assert without_missing(column).to_pylist() == ["a", None, None, None, "-"]
    assert without_missing(column, ["-"]).to_pylist() == ["a", None, "NA", "null", None]
    assert without_missing(pa.array(["a"])).to_pylist() == ["a"]
