"""Requirements on an index: recall, latency and memory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from embedrec.errors import SettingsError
from embedrec.storage.memory_budget import parse_size

_MS = {"": 1.0, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True)
class SearchTarget:
    """Minimum recall, and maximum latency and memory of an index, measured when it is built.

    recall   minimum share of the exact k nearest neighbours; the lower bound on a sample must reach it
    k        number of neighbours
    p95_ms   maximum 95th percentile of the duration of single searches in milliseconds; None for no limit
    ram      maximum bytes of the FAISS index, without the exact vectors, which are mapped from disk; None for no limit

    Raises SettingsError for values that no index can meet.
    """

    recall: float = 0.99
    k: int = 20
    p95_ms: float | None = None
    ram: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.recall <= 1:
            raise SettingsError(f"recall must be between 0 and 1, but is {self.recall:g}")
        if self.k < 1:
            raise SettingsError(f"recall@k needs k of at least 1, but k is {self.k}")
        if self.p95_ms is not None and not self.p95_ms > 0:
            raise SettingsError(f"--max-p95 must be positive, but is {self.p95_ms:g} ms")

    def violations(self, point: dict[str, Any]) -> list[str]:
        """How an operating point (keys of `measure.measure_search`) misses the target; empty if it meets it."""
        low, p95, size = point["recall_low"], point["query_ms_p95"], point["bytes"]
        violations = []
        if low < self.recall:
            violations.append(f"recall@{self.k} {low:.4f} is below {self.recall:g}")
        if self.p95_ms is not None and p95 > self.p95_ms:
            violations.append(f"p95 {p95:g} ms is above {self.p95_ms:g} ms")
        if self.ram is not None and size > self.ram:
            violations.append(f"{size:,} bytes exceed {self.ram:,}")
        return violations

    def distance(self, point: dict[str, Any]) -> float:
        """The relative shortfall of recall plus the relative excess of time and memory of a point."""
        distance = max(0.0, 1 - point["recall_low"] / self.recall)
        for limit, value in ((self.p95_ms, point["query_ms_p95"]), (self.ram, point["bytes"])):
            distance += 0.0 if limit is None else max(0.0, value / limit - 1)
        return distance


def parse_target(recall: str | None, p95: str | None, ram: str | None) -> SearchTarget | None:
    """The target of strings such as ".98@20", "2ms" and "4G", with the default recall if None; None if all are None.

    Raises SettingsError for invalid strings, and for values that no index can meet.
    """
    if recall is None and p95 is None and ram is None:
        return None
    share, k = (SearchTarget.recall, SearchTarget.k) if recall is None else parse_recall(recall)
    return SearchTarget(
        share, k, None if p95 is None else parse_milliseconds(p95), None if ram is None else parse_size(ram)
    )


def parse_recall(text: str) -> tuple[float, int]:
    """(.98, 10) from ".98@10"; without "@", k is 20. Raises SettingsError for an invalid string."""
    share, _, k = text.partition("@")
    try:
        return float(share), int(k or SearchTarget.k)
    except ValueError:
        raise SettingsError(
            f"a target recall must be a recall and a number of results, such as .98@20, but is {text!r}"
        ) from None


def parse_milliseconds(text: str) -> float:
    """2.0 from "2ms", "2000us" or "0.002s"; a number alone is in milliseconds. Raises SettingsError for an invalid
    string."""
    match = re.fullmatch(r"\s*(\d*\.?\d+)\s*(us|µs|ms|s|)\s*", text)
    if match is None:
        raise SettingsError(f"a time must be a number with us, ms or s, such as 2ms, but is {text!r}")
    return float(match[1]) * _MS[match[2]]
