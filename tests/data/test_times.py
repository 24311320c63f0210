"""Times given in Python: the same moment in every unit, or an error."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest

from embedrec import Events, Sessions, Vocab
from embedrec.data.times import as_times
from embedrec.errors import DataError

_DAYS = ["2020-01-01", "1969-12-31"]
_WANT = [1_577_836_800_000, -86_400_000]


@pytest.mark.parametrize("unit", ["D", "h", "m", "s", "ms", "us", "ns", "25s"])
def test_datetime64_of_every_unit(unit: str) -> None:
    times = np.array(_DAYS, dtype=f"datetime64[{unit}]")
    times.flags.writeable = False
    assert as_times(times).tolist() == _WANT
    assert Events.of([1, 2], ["a", "b"], time=times).time.tolist() == _WANT
    made = Sessions(np.array([0, 1, 2]), np.array([0, 0]), Vocab(["a"]), np.array([1, 2]), times=times)
    assert made.times.dtype == np.int64 and made.times.tolist() == _WANT
    vocab = Vocab(["a"])
    events = Events(np.array([0, 0]), np.array([0, 0]), vocab, vocab, time=times)
    assert events.time.tolist() == _WANT


_BERLIN = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ([datetime(2020, 1, 1), datetime(2020, 1, 1, 1, tzinfo=_BERLIN)], [_WANT[0]] * 2),
        ([datetime(2020, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC)], [_WANT[0] + 999]),
        ([date(2020, 1, 1)], [_WANT[0]]),
        ([np.datetime64("2020-01-01")], [_WANT[0]]),
        (pd.Series(pd.to_datetime(_DAYS)), _WANT),
        (pd.Series(pd.to_datetime(["2020-01-01"])).dt.tz_localize("Etc/GMT-1"), [_WANT[0] - 3_600_000]),
        (pd.to_datetime(_DAYS), _WANT),
        ([1.5e12, 2e12], [1_500_000_000_000, 2_000_000_000_000]),
        (np.array([1.9, -0.5]), [1, -1]),
        (np.array([5], dtype=np.uint16), [5]),
        ([1, 2], [1, 2]),
        ([], []),
    ],
)
def test_columns_of_times_are_milliseconds(given: Any, want: list[int]) -> None:
    result = as_times(given)
    assert result.dtype == np.int64 and result.tolist() == want


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.array(["2020", "NaT"], dtype="datetime64[s]"), "times must not contain NaT; drop or repair those rows"),
        (pd.to_datetime(["2020-01-01", None]), "times must not contain NaT"),
        ([datetime(2020, 1, 1), pd.NaT], "times must not contain NaT"),
        ([1.0, float("nan")], "times must not be NaN or infinite"),
        ([1.0, float("inf")], "times must not be NaN or infinite"),
        ([1, None], "times must be milliseconds since 1970 or dates .* but are NoneType, int"),
        (["2020-01-01"], "times must be milliseconds since 1970 or dates .* such as '2020-01-01'"),
        ([True], "times must be milliseconds since 1970"),
        (np.array([5], dtype="timedelta64[s]"), "times must be milliseconds since 1970"),
        ([[1, 2]], r"times must be one-dimensional, but their shape is \(1, 2\)"),
        (5, "times must be one-dimensional"),
        (np.array([1_577_836_800 * 10**9]), "divide microseconds by 1,000 and nanoseconds by 1,000,000"),
        (np.array([2**63], dtype=np.uint64), "times must be milliseconds since 1970, but range from"),
        (np.array([10**12], dtype="datetime64[Y]"), "times must be within 270,000 years of 1970"),
    ],
)
def test_invalid_times_are_refused(given: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_times(given)
    with pytest.raises(DataError, match=message.replace("times", "times of events", 1)):
        Events.of([1], ["a"], time=given)


def test_fractions_of_milliseconds_order_events() -> None:
    times = np.array(["2020-01-01T00:00:00.000000900", "2020-01-01T00:00:00.000000100"], dtype="datetime64[ns]")
    for given in (times, np.array([_WANT[0] + 0.9, _WANT[0] + 0.1])):
        events = Events.of([1, 1], ["second", "first"], time=given)
        assert events.items.ids[events.item].tolist() == ["first", "second"]
        assert events.time.tolist() == [_WANT[0]] * 2
