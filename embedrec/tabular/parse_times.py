"""Columns of times: numbers since 1970, dates in ISO 8601 and similar forms, or any strptime format."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.errors import DataError, SettingsError
from embedrec.tabular.parse_values import NUMBER, Problems, cast, floats, is_text, without_missing

TimeUnit = Literal["auto", "s", "ms", "iso"]

_ZONED = r"(Z|[+-][0-9]{2}:?([0-9]{2})?)$"
_SECONDS = (1e8, 1e11)  # 1973 to 5138; milliseconds of 1973 start where these end
_MILLISECONDS = (1e11, 1e14)
_FINER = (("microseconds", "1,000", 1e14, 1e17), ("nanoseconds", "1,000,000", 1e17, 1e20))
_LIMIT = 8.64e15  # ms; the years ±275,000
_MS = 1_000_000  # nanoseconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIRECTIVES = frozenset("aAwdbBmyYHIpMSfzZjUWcxXGuV%")
_WRITTEN = (  # rewrites of other date forms as ISO 8601
    (r"\s*(?i:UTC|GMT|Z)$", "Z"),
    (r"\s+([+-][0-9]{2}:?[0-9]{2})$", r"\1"),
    (r"^([0-9]{4})/([0-9]{2})/([0-9]{2})", r"\1-\2-\3"),
    (r"^([0-9]{4})([0-9]{2})([0-9]{2})$", r"\1-\2-\3"),
    (r"^([0-9]{4})([0-9]{2})([0-9]{2})[T ]?([0-9]{2})([0-9]{2})([0-9]{2})", r"\1-\2-\3 \4:\5:\6"),
)
_OTHER_FORM = re.compile(r"(\d\d?)([./-])(\d\d?)\2(\d{4}|\d\d)([ T]\d\d?:\d\d(:\d\d)?( ?[AaPp][Mm])?)?")
_COMPACT = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}  # digits → form
_UNCLEAR = {10: "seconds", 12: "milliseconds"}  # digits of dates that may also be numbers since 1970


@dataclass(frozen=True)
class Stamps:
    """b times.

    times  (b,) float64, in milliseconds for dates, else the raw numbers
    finer  (b,) int32 nanoseconds to add to each, or None for 0
    """

    times: np.ndarray
    finer: np.ndarray | None = None

    def __getitem__(self, rows: np.ndarray) -> Stamps:
        return Stamps(self.times[rows], None if self.finer is None else self.finer[rows])


class Times:
    """A column of times over all batches: numbers since 1970, or dates; UTC if no zone is given.

    unit  "s" or "ms" for numbers, "iso" for ISO 8601 texts; "auto" decides by type and, for
          numbers, by magnitude: all must have that of the first. Numbers of 8 or 14 digits in the form of dates,
          20240531 and 20240531235900, are dates
    form  strptime format of dates ("%d.%m.%Y %H:%M"), in place of a unit; "" for none
    before  the `state` after earlier files, whose column goes on

    Raises SettingsError for a form together with a unit, and for an invalid form.
    """

    def __init__(
        self, name: str, unit: TimeUnit, form: str = "", before: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        if form and unit != "auto":
            raise SettingsError("--time-format and --time-unit both define how times are parsed; leave one of them out")
        for directive in re.findall("%(.?)", form):
            if directive not in _DIRECTIVES or not directive:
                raise SettingsError(f"--time-format {form!r} is wrong at '%{directive}'; write it as %d.%m.%Y %H:%M")
        if form and "%" not in form:
            raise SettingsError(f"--time-format {form!r} contains no directive; write it as %d.%m.%Y %H:%M")
        self.name = name
        self.unit = unit
        self.form = form
        self.numeric: bool | None = None if unit == "auto" else unit != "iso"
        self.compact: int | None = None  # digits of numbers that are dates, 0 for numbers since 1970
        self.unclear = dict.fromkeys(_UNCLEAR, True)  # whether all kept times may be such dates
        self.low, self.high = np.inf, -np.inf  # of all kept times
        if before:
            self.numeric, self.compact = before["numeric"], before["compact"]
            self.unclear = {digits: digits in before["unclear"] for digits in _UNCLEAR}
            if before["low"] is not None:
                self.low, self.high = before["low"], before["high"]

    def state(self) -> dict[str, Any]:
        """What the kept times have decided about later ones, as JSON values."""
        known = self.low <= self.high
        return {
            "numeric": self.numeric,
            "compact": self.compact,
            "unclear": [digits for digits, may in self.unclear.items() if may],
            "low": self.low if known else None,
            "high": self.high if known else None,
        }

    def parse(self, column: Any) -> tuple[Stamps, Problems]:
        """The times of a batch.

        Raises DataError for a column of another type, and for a mix of numbers and dates.
        """
        kind = column.type
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            self._decide(numeric=False)
            stamps = _stamps(pc.cast(column, pa.timestamp("ms")) if pa.types.is_date(kind) else column)
            return stamps, [
                (_mask(pc.is_null(column)), f"{self.name} is missing"),
                (np.abs(stamps.times) > _LIMIT, f"{self.name} must be a time within 270,000 years of 1970"),
            ]
        if is_text(kind):
            column = pc.ascii_trim_whitespace(column)
            if self.form or not self.numeric:  # `floats` does this for numbers
                column = without_missing(column)
        if self.form:
            return self._formed(column)
        if not is_text(kind):
            if self.unit != "iso":
                self._decide(numeric=True)
        elif self.numeric is None:
            given = column.drop_null()
            if len(given):
                self._decide(numeric=bool(pc.match_substring_regex(given[:1], NUMBER)[0].as_py()))
        return self._dates(column) if is_text(kind) and self.numeric is False else self._numbers(column)

    def milliseconds(self, stamps: Stamps) -> tuple[np.ndarray, np.ndarray | None]:
        """The kept times (b,) of a batch as int64 milliseconds, and int32 nanoseconds after them or None.

        They are correct if `check` passes at the end.
        """
        times, finer = stamps.times, stamps.finer
        if not len(times):
            return np.empty(0, dtype=np.int64), None
        low, high = float(times.min()), float(times.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        if self.numeric:
            for digits in _UNCLEAR:
                self.unclear[digits] = self.unclear[digits] and bool(_is_compact_date(times, digits).all())
        if self.numeric and not self.compact and self.unit != "ms" and (self.unit == "s" or self.low < _SECONDS[1]):
            times = times * 1000
        with np.errstate(invalid="ignore"):  # beyond 64 bits; `check` raises
            whole = np.rint(times).astype(np.int64)
            rest = times - whole
            if rest.any() and self.low > -_LIMIT and self.high < _LIMIT:
                # doubles resolve microseconds; a time is rounded to the nearest millisecond, up or down
                finer = np.clip(np.rint(rest * 1000) + 500, 0, 999).astype(np.int32) * 1000
        return whole, finer

    @property
    def even(self) -> int:
        """The nanoseconds in `milliseconds` of a time without any."""
        return 500_000 if self.numeric and not self.compact else 0

    def check(self) -> None:
        """Raises DataError if the unit of the kept times is ambiguous."""
        low, high = self.low, self.high
        if not self.numeric or self.compact or self.unit != "auto" or low > high:
            return
        for digits, unit in _UNCLEAR.items():
            if self.unclear[digits]:
                raise DataError(
                    f"the times in {self.name!r} go from {low:.15g} to {high:.15g}, and it is unclear whether "
                    f"these are {unit} since 1970 or dates; use --time-unit {'s' if unit == 'seconds' else 'ms'}, or "
                    f"--time-format {_COMPACT[digits]}"
                )
        if (low >= _SECONDS[0] and high < _SECONDS[1]) or (low >= _MILLISECONDS[0] and high < _MILLISECONDS[1]):
            return
        for finer, by, least, end in _FINER:
            if low >= least and high < end:
                raise DataError(
                    f"the times in {self.name!r} go from {low:.15g} to {high:.15g}, as {finer} since 1970 do; "
                    f"divide them by {by} and use --time-unit ms"
                )
        raise DataError(
            f"the times in {self.name!r} go from {low:.15g} to {high:.15g}, and it is unclear whether "
            "these are seconds or milliseconds since 1970; use --time-unit s or ms"
        )

    def _decide(self, *, numeric: bool) -> None:
        if self.numeric is None:
            self.numeric = numeric
        if self.numeric != numeric:
            is_, was = ("numbers", "dates") if numeric else ("dates", "numbers")
            raise DataError(
                f"the column {self.name!r} contains {is_} where {was} are expected; set its type with --time-unit"
            )

    def _numbers(self, column: Any) -> tuple[Stamps, Problems]:
        values, problems = floats(column, self.name)
        good = np.flatnonzero(np.isfinite(values))
        if self.compact is None and self.unit in ("auto", "iso") and len(good):
            first = values[good[:1]]
            self.compact = next((digits for digits in (8, 14) if _is_compact_date(first, digits)[0]), 0)
        if self.compact or self.unit == "iso":
            digits = self.compact or 14
            dates = _is_compact_date(values, digits)
            example = "20240531235900"[:digits]
            return Stamps(_compact_to_ms(np.where(dates, values, 19700101 * 10 ** (digits - 8)), digits)), [
                *problems,
                (~dates, f"{self.name} must be a date as {example}"),
            ]
        limit = {"s": _LIMIT / 1000, "ms": _LIMIT}.get(self.unit, _FINER[-1][-1])
        with np.errstate(invalid="ignore"):
            wrong = ~(np.abs(values) <= limit)
        if self.unit == "auto":
            wrong |= _is_compact_date(values, 14)
        problems.append((wrong, f"{self.name} must be a time in numbers since 1970"))
        return Stamps(values), problems

    def _dates(self, column: Any) -> tuple[Stamps, Problems]:
        stamps, wrong = _parse_iso(column)
        if wrong.any():
            for pattern, iso in _WRITTEN:
                column = pc.replace_substring_regex(column, pattern, iso)
            stamps, wrong = _parse_iso(column)
        missing = _mask(pc.is_null(column))
        if (wrong | missing).all():
            self._check_form(pc.unique(column.drop_null()).to_pylist())
        return stamps, [
            (missing, f"{self.name} is missing"),
            (wrong, f"{self.name} must be a date as 2024-05-31 23:59:00"),
        ]

    def _check_form(self, texts: list[str]) -> None:
        """Raises DataError if all dates of a batch begin with the day or the month; it names their strptime format."""
        dates = [_OTHER_FORM.fullmatch(text) for text in texts]
        if not dates or not all(dates):
            return
        numbers = [(int(date[1]), int(date[3])) for date in dates if date]
        day_first, month_first = any(a > 12 for a, _ in numbers), any(b > 12 for _, b in numbers)
        _, mark, _, year, clock, seconds, half = dates[0].groups()  # type: ignore[union-attr]
        rest = f"{mark}%{'Y' if len(year) == 4 else 'y'}"
        if clock:
            hours = f"{clock[0]}%{'I' if half else 'H'}:%M{':%S' if seconds else ''}"
            rest += hours + (" %p" if half and half[0] == " " else "%p" if half else "")
        forms = [f"--time-format '{first}{rest}'" for first in (f"%d{mark}%m", f"%m{mark}%d")]
        likely = forms[:1] if day_first or mark == "." else forms[1:] if month_first else forms
        raise DataError(
            f"the times in {self.name!r}, such as {texts[0]!r}, are not in ISO 8601; use {' or '.join(likely)}, or "
            "--time - for the order of the rows"
        )

    def _formed(self, column: Any) -> tuple[Stamps, Problems]:
        """Dates in the strptime format `form`."""
        self.numeric = False
        distinct = (column if is_text(column.type) else pc.cast(column, pa.string())).dictionary_encode()
        parsed = [self._microseconds(text) for text in distinct.dictionary.to_pylist()]
        wrong = np.array([time is None for time in parsed], dtype=bool)
        times = np.array([time or 0 for time in parsed], dtype=np.int64)
        missing = _mask(pc.is_null(column))
        at = pc.fill_null(distinct.indices, 0).to_numpy(zero_copy_only=False)
        if not parsed:
            wrong, times = np.zeros(1, dtype=bool), np.zeros(1, dtype=np.int64)
        return _split(times[at], 1000), [
            (missing, f"{self.name} is missing"),
            (wrong[at] & ~missing, f"{self.name} must be a date as {self.form}"),
        ]

    def _microseconds(self, text: str) -> int | None:
        try:
            time = datetime.strptime(text, self.form)
        except ValueError:
            return None
        return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)


def _parse_iso(column: Any) -> tuple[Stamps, np.ndarray]:
    """Texts (b,) in ISO 8601 as times, and a mask of those that are not."""
    zoned = _mask(pc.match_substring_regex(column, _ZONED)) & _mask(pc.match_substring_regex(column, "T|:"))
    given = _mask(pc.is_valid(column))
    nanoseconds = np.zeros(len(column), dtype=np.int64)
    wrong = np.zeros(len(column), dtype=bool)
    for rows, target in ((zoned, pa.timestamp("ns", "UTC")), (~zoned, pa.timestamp("ns"))):
        at = np.flatnonzero(rows & given)
        stamps, unread = cast(column.take(pa.array(at)), target)
        nanoseconds[at] = pc.fill_null(pc.cast(stamps, pa.int64()), 0).to_numpy(zero_copy_only=False)
        wrong[at] = unread
    return _split(nanoseconds, _MS), wrong


def _stamps(column: Any) -> Stamps:
    """Timestamps (b,) of any unit."""
    numbers = pc.fill_null(pc.cast(column, pa.int64()), 0).to_numpy(zero_copy_only=False)
    unit = column.type.unit
    if unit in ("s", "ms"):
        return Stamps(numbers.astype(np.float64) * (1000 if unit == "s" else 1))
    return _split(numbers, 1000 if unit == "us" else _MS)


def _split(numbers: np.ndarray, a_millisecond: int) -> Stamps:
    """Times (b,) int64 in a unit of which `a_millisecond` are one millisecond."""
    whole = numbers // a_millisecond
    rest = numbers - whole * a_millisecond
    finer = (rest * (_MS // a_millisecond)).astype(np.int32) if rest.any() else None
    return Stamps(whole.astype(np.float64), finer)


def _is_compact_date(numbers: np.ndarray, digits: int) -> np.ndarray:
    """Mask of the numbers (b,) that are dates of the years 1900 to 2099 in so many digits."""
    unit = 10.0 ** (digits - 8)
    matches = (numbers >= 19000101 * unit) & (numbers < 21000101 * unit)
    if not matches.any():
        return matches
    given = numbers[matches]
    rest = given.astype(np.int64)
    good = rest == given
    for size in ("hour", "minute", "second")[: digits // 2 - 4][::-1]:
        rest, part = rest // 100, rest % 100
        good &= part < (24 if size == "hour" else 60)
    month, day = rest // 100 % 100, rest % 100
    good &= (month >= 1) & (month <= 12) & (day >= 1)
    months = (rest // 10000 - 1970).astype("M8[Y]").astype("M8[M]") + np.clip(month - 1, 0, 11)
    good &= day <= ((months + 1).astype("M8[D]") - months.astype("M8[D]")).astype(np.int64)
    matches[matches] = good
    return matches


def _compact_to_ms(numbers: np.ndarray, digits: int) -> np.ndarray:
    """Milliseconds (b,) float64 of dates in so many digits."""
    rest, times = numbers.astype(np.int64), np.zeros(len(numbers), dtype=np.int64)
    for unit in (1000, 60_000, 3_600_000)[: digits // 2 - 4]:
        times += rest % 100 * unit
        rest = rest // 100
    months = (rest // 10000 - 1970).astype("M8[Y]").astype("M8[M]") + (rest // 100 % 100 - 1)
    days = months.astype("M8[D]") + (rest % 100 - 1)
    return (times + days.astype(np.int64) * 86_400_000).astype(np.float64)


def _mask(array: Any) -> np.ndarray:
    return pc.fill_null(array, False).to_numpy(zero_copy_only=False)
