"""Arrow columns as ids, numbers and times, with masks of the values that cannot be used.

Every function takes a column (b,) and gives (values, problems); a problem is a mask (b,) with a sentence. What
stands in `values` under a mask means nothing.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.errors import DataError

Problems = list[tuple[np.ndarray, str]]
TimeUnit = Literal["auto", "s", "ms", "iso"]

WHOLE = r"^(0|-?[1-9][0-9]{0,18})$"  # a whole number that is written in one way only
NUMBER = r"^[-+]?[0-9.]+([eE][-+]?[0-9]+)?$"
_ZONED = r"(Z|[+-][0-9]{2}:?([0-9]{2})?)$"
_DATED = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_SECONDS = (1e8, 1e11)  # 1973 to 5138; milliseconds of those years start where seconds end
_MILLISECONDS = (1e11, 1e14)
_FINER = (("microseconds", "1,000", 1e14, 1e17), ("nanoseconds", "1,000,000", 1e17, 1e20))
_LIMIT = 8.64e15  # ms; the years ±275,000


def ids(column: Any, name: str, *, whole: bool = False, one_line: bool = False) -> tuple[Any, Problems]:
    """Ids as an Arrow array of int64 or string; floats that are whole numbers become integers.

    whole     only whole numbers are ids
    one_line  no id may hold a line break: in delimited text, a quote was left open before it

    Raises DataError for a column of another type.
    """
    kind = column.type
    missing = _mask(pc.is_null(column))
    problems: Problems = [(missing, f"{name} is missing")]
    if pa.types.is_null(kind):
        return pc.cast(column, pa.int64()), problems
    if pa.types.is_uint64(kind):
        column, wrong = cast(column, pa.int64())
        return column, [*problems, (wrong, f"{name} must be a whole number of 64 bits")]
    if pa.types.is_integer(kind):
        return pc.cast(column, pa.int64()), problems
    if pa.types.is_floating(kind):
        numbers = _numpy(pc.cast(column, pa.float64()))
        uneven = ~missing & ~((numbers == np.floor(numbers)) & (np.abs(numbers) < 2**53))
        problems.append((uneven, f"{name} must be a whole number or a text"))
        return pa.array(np.where(missing | uneven, 0, numbers).astype(np.int64)), problems
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise DataError(f"the column {name!r} holds {kind}, but ids must be whole numbers or texts")
    problems.append((_mask(pc.equal(column, "")), f"{name} is missing"))
    if one_line:
        problems.append((_mask(pc.match_substring(column, "\n")), f"{name} holds a line break, as after an open quote"))
    if whole:
        problems.append((~_mask(pc.match_substring_regex(column, WHOLE)), f"{name} must be a whole number"))
    return column, problems


def numbers(column: Any, name: str) -> tuple[np.ndarray, Problems]:
    """Numbers (b,) float32, finite. Raises DataError for a column that is no text and no number."""
    values, problems = floats(column, name)
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    problems.append((~np.isfinite(narrow), f"{name} must be a finite number"))
    return narrow, problems


def positions(column: Any, name: str) -> tuple[np.ndarray, Problems]:
    """Numbers that order rows (b,) float64, finite. Raises DataError for a column that is no text and no number."""
    values, problems = floats(column, name)
    return values, [*problems, (~np.isfinite(values), f"{name} must be a finite number")]


class Times:
    """A column of times over all batches: numbers since 1970, or dates; UTC where no zone is given.

    unit  "s" or "ms" for numbers, "iso" for ISO 8601 texts; "auto" tells them apart by type and, for
          numbers, by size: all must be of the size of the first
    """

    def __init__(self, name: str, unit: TimeUnit) -> None:
        self.name = name
        self.unit = unit
        self.numeric: bool | None = None if unit == "auto" else unit != "iso"
        self.low, self.high = np.inf, -np.inf  # of all that were kept

    def parse(self, column: Any) -> tuple[np.ndarray, Problems]:
        """Times (b,) float64: milliseconds where dates were given, else numbers as they are.

        Raises DataError for a column of another type, and when numbers follow dates or the other way round.
        """
        kind = column.type
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            self._decide(numeric=False)
            stamps = pc.cast(column, pa.timestamp("ms"), safe=False)
            missing = _mask(pc.is_null(column))
            return _numpy(pc.cast(pc.cast(stamps, pa.int64()), pa.float64(), safe=False)), [
                (missing, f"{self.name} is missing")
            ]
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        if not text:
            self._decide(numeric=True)
        elif self.numeric is None:
            given = column.drop_null()
            if len(given):
                self._decide(numeric=bool(pc.match_substring_regex(given[:1], NUMBER)[0].as_py()))
        return self._dates(column) if text and self.numeric is False else self._numbers(column)

    def milliseconds(self, times: np.ndarray) -> np.ndarray:
        """Times (b,) of a batch, those to keep, as int64 milliseconds: right once `check` has seen that all are."""
        if not len(times):
            return np.empty(0, dtype=np.int64)
        self.low, self.high = min(self.low, float(times.min())), max(self.high, float(times.max()))
        if self.numeric and self.unit != "ms" and (self.unit == "s" or self.low < _SECONDS[1]):
            times = times * 1000
        with np.errstate(invalid="ignore"):  # beyond 64 bits, which `check` refuses
            return np.rint(times).astype(np.int64)

    def check(self) -> None:
        """Raises DataError when the unit of the times that were kept cannot be told."""
        low, high = self.low, self.high
        if not self.numeric or self.unit != "auto" or low > high:
            return
        if (low >= _SECONDS[0] and high < _SECONDS[1]) or (low >= _MILLISECONDS[0] and high < _MILLISECONDS[1]):
            return
        for finer, by, least, end in _FINER:
            if low >= least and high < end:
                raise DataError(
                    f"the times in {self.name!r} go from {low:.15g} to {high:.15g}, as {finer} since 1970 do; "
                    f"divide them by {by} and use --time-unit ms"
                )
        raise DataError(
            f"the times in {self.name!r} go from {low:.15g} to {high:.15g}, and it cannot be told whether "
            "these are seconds or milliseconds since 1970; use --time-unit s or ms"
        )

    def _decide(self, *, numeric: bool) -> None:
        if self.numeric is None:
            self.numeric = numeric
        if self.numeric != numeric:
            is_, was = ("numbers", "dates") if numeric else ("dates", "numbers")
            raise DataError(
                f"the column {self.name!r} holds {is_} where {was} are expected; use --time-unit to say what it holds"
            )

    def _numbers(self, column: Any) -> tuple[np.ndarray, Problems]:
        values, problems = floats(column, self.name)
        limit = {"s": _LIMIT / 1000, "ms": _LIMIT}.get(self.unit, _FINER[-1][-1])
        with np.errstate(invalid="ignore"):
            wrong = ~(np.abs(values) <= limit)
        problems.append((wrong, f"{self.name} must be a time in numbers since 1970"))
        return values, problems

    def _dates(self, column: Any) -> tuple[np.ndarray, Problems]:
        missing = _mask(pc.or_(pc.is_null(column), pc.equal(column, "")))
        zoned = _mask(pc.match_substring_regex(column, _ZONED)) & _mask(pc.match_substring_regex(column, "T|:"))
        values = np.zeros(len(column))
        wrong = np.ones(len(column), dtype=bool)
        for rows, target in ((zoned, pa.timestamp("ns", "UTC")), (~zoned, pa.timestamp("ns"))):
            at = np.flatnonzero(rows & ~missing)
            stamps, unread = cast(column.take(pa.array(at)), target)
            nanoseconds = _numpy(pc.cast(pc.fill_null(pc.cast(stamps, pa.int64()), 0), pa.int64()))
            values[at] = nanoseconds // 1_000_000
            wrong[at] = unread
        return values, [
            (missing, f"{self.name} is missing"),
            (wrong, f"{self.name} must be a date as 2024-05-31 23:59:00"),
        ]


def floats(column: Any, name: str) -> tuple[np.ndarray, Problems]:
    """Numbers (b,) float64, NaN where missing. Raises DataError for a column that is no text and no number."""
    kind = column.type
    missing = _mask(pc.is_null(column))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        missing |= _mask(pc.equal(column, ""))
        column = pc.if_else(pa.array(missing), pa.scalar(None, kind), column)
    elif not (
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)
    ):
        raise DataError(f"the column {name!r} holds {kind}, but must hold numbers")
    values, wrong = cast(column, pa.float64())
    return _numpy(values), [(missing, f"{name} is missing"), (wrong, f"{name} must be a number")]


def cast(column: Any, target: Any) -> tuple[Any, np.ndarray]:
    """The column as another type, null where a value cannot be cast, and a mask (b,) of those."""
    try:
        return pc.cast(column, target, safe=not pa.types.is_floating(target)), np.zeros(len(column), dtype=bool)
    except pa.ArrowInvalid:
        if len(column) == 1:
            return pa.nulls(1, target), np.ones(1, dtype=bool)
        half = len(column) // 2  # few are wrong: halving finds them in a few casts each
        (left, a), (right, b) = cast(column[:half], target), cast(column[half:], target)
        return pa.concat_arrays([left, right]), np.concatenate([a, b])


def _mask(array: Any) -> np.ndarray:
    return pc.fill_null(array, False).to_numpy(zero_copy_only=False)


def _numpy(array: Any) -> np.ndarray:
    """Numbers as a NumPy array, NaN where a float is null."""
    return array.to_numpy(zero_copy_only=False)
