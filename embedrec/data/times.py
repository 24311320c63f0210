"""Exact conversion of times from Python and NumPy types to milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from embedrec.errors import DataError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LIMIT = 8_640_000_000_000_000  # ms; the years ±275,000
_FINER = {"ns": 10**6, "us": 10**3, "ps": 10**9, "fs": 10**12, "as": 10**15}  # units per millisecond


def as_times(times: Sequence[Any] | np.ndarray, what: str = "times") -> np.ndarray:
    """Times (E,) as int64 milliseconds since 1970-01-01 UTC.

    times  milliseconds, datetime64 of any unit, or datetimes (UTC unless they have a time zone); digits below a
           millisecond are discarded
    what   name of the times in messages

    Raises DataError for NaT, NaN, infinity, other types, and times more than 270,000 years from 1970.
    """
    return ordered_times(times, what)[0]


def ordered_times(times: Sequence[Any] | np.ndarray, what: str = "times") -> tuple[np.ndarray, np.ndarray]:
    """The same, and numbers (E,) that order the times in full precision."""
    array = times if isinstance(times, np.ndarray) else np.asarray(times)
    if array.ndim != 1:
        raise DataError(f"{what} must be one-dimensional, but their shape is {array.shape}")
    if array.dtype.kind == "O":
        array = _of_objects(array, what)
    if array.dtype.kind == "M":
        return _of_dates(array, what)
    if array.dtype.kind not in "iuf":
        if not len(array):
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        raise DataError(
            f"{what} must be milliseconds since 1970 or dates (datetime64), but are {array.dtype}, such as "
            f"{array[0].item()!r}"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"{what} must not be NaN or infinite; drop or repair those rows")
    if len(array) and (array.min() < -_LIMIT or array.max() > _LIMIT):
        raise DataError(
            f"{what} must be milliseconds since 1970, but range from {array.min():.16g} to {array.max():.16g}; "
            "divide microseconds by 1,000 and nanoseconds by 1,000,000"
        )
    return np.floor(array).astype(np.int64) if array.dtype.kind == "f" else array.astype(np.int64, copy=False), array


def _of_dates(dates: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
    if np.isnat(dates).any():
        raise DataError(f"{what} must not contain NaT; drop or repair those rows")
    unit, _ = np.datetime_data(dates.dtype)
    if unit == "generic":
        raise DataError(f"{what} are dates without a unit; convert them with .astype('datetime64[ms]')")
    numbers = dates.astype(f"datetime64[{unit}]").astype(np.int64)
    if unit in _FINER:
        return numbers // _FINER[unit], numbers
    whole = dates.astype("datetime64[ms]")
    if len(dates) and (whole.astype(dates.dtype) != dates).any():  # beyond 64 bits
        raise DataError(f"{what} must be within 270,000 years of 1970, but range from {dates.min()} to {dates.max()}")
    return ordered_times(whole.astype(np.int64), what)


def _of_objects(objects: np.ndarray, what: str) -> np.ndarray:
    """Objects (datetimes, NumPy dates, numbers) as an array of one type."""
    given = objects.tolist()
    if given and all(isinstance(time, datetime) for time in given):
        if any(str(time) == "NaT" for time in given):  # pandas' NaT is a datetime
            raise DataError(f"{what} must not contain NaT; drop or repair those rows")
        zoned = (time if time.tzinfo else time.replace(tzinfo=UTC) for time in given)
        return np.array([(time - _EPOCH) // timedelta(microseconds=1) for time in zoned], dtype="datetime64[us]")
    if given and all(isinstance(time, np.datetime64) for time in given):
        return np.array(given)
    if given and all(type(time) is date for time in given):
        return np.array(given, dtype="datetime64[D]")
    if all(isinstance(time, int | float | np.integer | np.floating) and not isinstance(time, bool) for time in given):
        try:
            return np.array(
                given, dtype=np.int64 if all(isinstance(t, int | np.integer) for t in given) else np.float64
            )
        except OverflowError:
            return np.array(given, dtype=np.float64)
    kinds = sorted({type(time).__name__ for time in given})
    raise DataError(f"{what} must be milliseconds since 1970 or dates (datetime64), but are {', '.join(kinds)}")
