"""What an index must reach, and how users write it."""

from __future__ import annotations

from typing import Any

import pytest

from embedrec.errors import SettingsError
from embedrec.index.target import SearchTarget, parse_milliseconds, parse_recall, parse_target


@pytest.mark.parametrize(
    ("text", "means"), [("2ms", 2.0), ("2", 2.0), ("0.5s", 500.0), (".5 ms", 0.5), ("800us", 0.8), ("800µs", 0.8)]
)
def test_milliseconds_are_parsed(text: str, means: float) -> None:
    assert parse_milliseconds(text) == pytest.approx(means)


@pytest.mark.parametrize("text", ["", "ms", "2 min", "-1ms", "1e3", "2ms2"])
def test_texts_that_are_not_a_time_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="a time must be a number with us, ms or s, such as 2ms, but is "):
        parse_milliseconds(text)


def test_target_recalls_are_parsed_and_bounded() -> None:
    assert parse_recall(".98@10") == (0.98, 10) and parse_recall("0.5") == (0.5, 20)
    for text in ("", "x@10", ".9@x", ".9@1.5", "@"):
        with pytest.raises(
            SettingsError, match=r"a target recall must be a recall and a number of results, such as .98@20, but is"
        ):
            parse_recall(text)
    for given, message in (
        ({"recall": 99.0}, "recall must be between 0 and 1, but is 99"),
        ({"recall": 0.0}, "recall must be between 0 and 1, but is 0"),
        ({"recall": float("nan")}, "recall must be between 0 and 1, but is nan"),
        ({"k": 0}, "recall@k needs k of at least 1, but k is 0"),
        ({"p95_ms": 0.0}, "--max-p95 must be positive, but is 0 ms"),
    ):
        with pytest.raises(SettingsError, match=message):
            SearchTarget(**given)  # type: ignore[arg-type]


POINT: dict[str, Any] = {"recall_low": 0.9, "query_ms_p95": 3.0, "bytes": 1500}


@pytest.mark.parametrize(
    ("target", "violations", "distance"),
    [
        (SearchTarget(0.9), [], 0.0),
        (SearchTarget(0.9, p95_ms=3.0, ram=1500), [], 0.0),
        (SearchTarget(0.99, 10), ["recall@10 0.9000 is below 0.99"], 1 - 0.9 / 0.99),
        (SearchTarget(0.5, p95_ms=2.0), ["p95 3 ms is above 2 ms"], 0.5),
        (SearchTarget(0.5, ram=1000), ["1,500 bytes exceed 1,000"], 0.5),
        (
            SearchTarget(1.0, p95_ms=1.5, ram=500),
            ["recall@20 0.9000 is below 1", "p95 3 ms is above 1.5 ms", "1,500 bytes exceed 500"],
            0.1 + 1 + 2,
        ),
    ],
)
def test_points_are_compared_with_the_target(target: SearchTarget, violations: list[str], distance: float) -> None:
    assert target.violations(POINT) == violations
    assert target.distance(POINT) == pytest.approx(distance)


def test_targets_are_parsed_from_options() -> None:
    assert parse_target(None, None, None) is None
    assert parse_target(".98@10", "2ms", "4G") == SearchTarget(0.98, 10, 2.0, 4 << 30)
    assert parse_target(None, "800us", None) == SearchTarget(0.99, 20, 0.8)
    assert parse_target(None, None, "1K") == SearchTarget(ram=1024)
    with pytest.raises(SettingsError, match="recall must be between 0 and 1, but is 2"):
        parse_target("2", None, None)
