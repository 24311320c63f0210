"""Arrow columns parsed as ids and numbers, with masks of invalid values.

Every function takes a column (b,) and returns (values, problems); a problem is a mask (b,) with a message. `values`
under a mask are undefined.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.data.vocab import WHOLE
from embedrec.errors import DataError
from embedrec.tabular.code_ids import IdType, without_point_zero

Problems = list[tuple[np.ndarray, str]]

NUMBER = r"^[-+]?[0-9.]+([eE][-+]?[0-9]+)?$"
_DAY = r"((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))"
_POSSIBLE = {  # texts that Arrow can cast, with few exceptions
    "double": r"(?i)^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?$|^[-+]?(inf|nan)",
    "int64": r"^[-+]?([0-9]+|0[xX][0-9a-fA-F]+)$",
    "date32": rf"^[0-9]{{4}}-{_DAY}$",
    "timestamp": rf"^(1[6-9]|2[0-2])[0-9]{{2}}-{_DAY}([ T]([01][0-9]|2[0-3])(:[0-5][0-9](:[0-6][0-9])?)?.*)?$",  # of ns
}


MISSING = ("NA", "N/A", "NULL", "null", r"\N", "None", "NaT", "<NA>")  # words for a missing value in times and numbers


def ids(
    column: Any,
    name: str,
    *,
    kind: IdType = "auto",
    whole: bool = False,
    one_line: bool = False,
    written: bool = False,
) -> tuple[Any, Problems]:
    """Ids as an Arrow array of int64 or string; whole numbers become integers, or texts beyond 64 bits.

    kind      "number": only whole numbers of 64 bits are ids, "12" and "12.0" too
    whole     only whole numbers in canonical form are ids
    one_line  ids must not contain line breaks, which follow an unclosed quote in delimited text
    written   other numbers are also ids, as texts

    Raises DataError for a column of another type.
    """
    missing = _mask(pc.is_null(column))
    problems: Problems = [(missing, f"{name} is missing")]
    if pa.types.is_null(column.type):
        return pc.cast(column, pa.int64()), problems
    if not is_text(column.type):
        column, wrong = _whole(column, missing, name, written=written)
        problems.append((wrong, f"{name} must be a whole number or a text"))
    if not is_text(column.type):
        return column, problems
    problems.append((_mask(pc.equal(column, "")), f"{name} is missing"))
    if one_line:
        problems.append(
            (_mask(pc.match_substring(column, "\n")), f"{name} contains a line break, possibly after an unclosed quote")
        )
    if whole:
        problems.append((~_mask(pc.match_substring_regex(column, WHOLE)), f"{name} must be a whole number"))
    if kind == "number":
        written = pc.replace_substring_regex(without_point_zero(column), "^(-?)0+([0-9])", r"\1\2")
        written = pc.if_else(pc.match_substring_regex(written, WHOLE), written, None)  # 0x10 is 16 for Arrow
        column, _ = cast(written, pa.int64())
        problems.append((_mask(pc.is_null(column)), f"{name} must be a whole number of 64 bits"))
    return column, problems


def number_text(number: float) -> str:
    """A JSON number as an id: "5" for 5 and 5.0."""
    whole = isinstance(number, float) and number.is_integer() and abs(number) < 2**53
    return msgspec.json.encode(int(number) if whole else number).decode()


def _whole(column: Any, missing: np.ndarray, name: str, *, written: bool) -> tuple[Any, np.ndarray]:
    """Numbers (b,) as int64, or as texts if one exceeds 64 bits, and a mask (b,) of those that are not whole.

    written  return those as texts, too
    """
    kind, even = column.type, np.zeros(len(column), dtype=bool)
    if pa.types.is_floating(kind):
        given = _numpy(pc.cast(column, pa.float64()))
        uneven = ~missing & ~((given == np.floor(given)) & (np.abs(given) < 2**53))
        if written and uneven.any():
            return pa.array([None if n is None else number_text(n) for n in column.to_pylist()], pa.string()), even
        return pa.array(np.where(missing | uneven, 0, given).astype(np.int64)), uneven
    if not (pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
        raise DataError(f"the column {name!r} has the type {kind}, but ids must be whole numbers or texts")
    try:
        return pc.cast(column, pa.int64()), even
    except pa.ArrowInvalid:
        texts = without_point_zero(pc.cast(column, pa.string()))
    return texts, ~missing & ~_mask(pc.match_substring_regex(texts, "^(0|-?[1-9][0-9]*)$"))


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is a text type."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def numbers(column: Any, name: str) -> tuple[np.ndarray, Problems]:
    """Numbers (b,) float32, finite. Raises DataError for columns other than texts and numbers."""
    values, problems = floats(column, name)
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    problems.append((~np.isfinite(narrow), f"{name} must be a finite number"))
    return narrow, problems


def positions(column: Any, name: str) -> tuple[np.ndarray, Problems]:
    """Numbers (b,) float64, finite, that order rows. Raises DataError for columns other than texts and numbers."""
    values, problems = floats(column, name)
    return values, [*problems, (~np.isfinite(values), f"{name} must be a finite number")]


def floats(column: Any, name: str) -> tuple[np.ndarray, Problems]:
    """Numbers (b,) float64, NaN where missing. Raises DataError for columns other than texts and numbers."""
    kind = column.type
    if is_text(kind):
        column = without_missing(column)
    elif not (
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)
    ):
        raise DataError(f"the column {name!r} has the type {kind}, but must contain numbers")
    missing = _mask(pc.is_null(column))
    values, wrong = cast(column, pa.float64())
    return _numpy(values), [(missing, f"{name} is missing"), (wrong, f"{name} must be a number")]


def without_missing(column: Any, words: Sequence[str] = MISSING) -> Any:
    """Texts (b,), null where empty or a word for a missing value."""
    absent = pc.is_in(column, value_set=pa.array(["", *words], column.type))
    return pc.if_else(absent, None, column) if absent.true_count else column


def cast(column: Any, target: Any) -> tuple[Any, np.ndarray]:
    """The column cast to another type, null where that fails, and a mask (b,) of the failures."""
    try:
        return _cast(column, target), np.zeros(len(column), dtype=bool)
    except pa.ArrowInvalid:
        if not is_text(column.type):
            return _cast_by_halves(column, target)
    pattern = _POSSIBLE[str(target).partition("[")[0]]
    possible = pc.if_else(pc.match_substring_regex(column, pattern), column, None)
    values, wrong = _cast_by_halves(possible, target)
    return values, wrong | (_mask(pc.is_valid(column)) & _mask(pc.is_null(possible)))


def _cast_by_halves(column: Any, target: Any) -> tuple[Any, np.ndarray]:
    """As `cast`, for columns with few failures: bisection finds each in a few casts."""
    try:
        return _cast(column, target), np.zeros(len(column), dtype=bool)
    except pa.ArrowInvalid:
        if len(column) == 1:
            return pa.nulls(1, target), np.ones(1, dtype=bool)
        half = len(column) // 2
        (left, a), (right, b) = _cast_by_halves(column[:half], target), _cast_by_halves(column[half:], target)
        return pa.concat_arrays([left, right]), np.concatenate([a, b])


def _cast(column: Any, target: Any) -> Any:
    return pc.cast(column, target, safe=not pa.types.is_floating(target))


def _mask(array: Any) -> np.ndarray:
    """Truth values as a NumPy array, False where one is null; without nulls, as usual, pandas is not imported."""
    if array.null_count or not isinstance(array, pa.BooleanArray):
        return pc.fill_null(array, False).to_numpy(zero_copy_only=False)
    (_, bits), start = array.buffers(), array.offset
    if not len(array):
        return np.zeros(0, dtype=bool)
    content = np.frombuffer(bits, np.uint8, (start + len(array) + 7) // 8)
    return np.unpackbits(content, count=start + len(array), bitorder="little")[start:].view(bool)


def _numpy(array: Any) -> np.ndarray:
    """Numbers as a NumPy array, NaN where a float is null."""
    if not array.null_count and isinstance(array, pa.Array) and not pa.types.is_boolean(array.type):
        return np.from_dlpack(array)  # `to_numpy` would import pandas
    return array.to_numpy(zero_copy_only=False)
