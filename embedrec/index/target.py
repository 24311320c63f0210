"""What an index is asked to keep, whatever type and settings that takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from embedrec.errors import SettingsError
from embedrec.storage.memory_budget import parse_size

_MS = {"": 1.0, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True)
class SearchTarget:
    """What holds of an index when it is built, on items that are asked for their nearest others.

    recall   least share of the exact k nearest that are found; its lower bound on a sample must reach it
    k        how many nearest
    p95_ms   95 of 100 single searches take no longer, in milliseconds; None for any time
    ram      most bytes of the FAISS index; the exact vectors beside it are mapped from disk and not counted

    Raises SettingsError for what no index can keep.
    """

    recall: float = 0.99
    k: int = 20
    p95_ms: float | None = None
    ram: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.recall <= 1:
            raise SettingsError(f"a recall lies between 0 and 1, but is {self.recall:g}")
        if self.k < 1:
            raise SettingsError(f"recall is of at least 1 result, but is of {self.k}")
        if self.p95_ms is not None and not self.p95_ms > 0:
            raise SettingsError(f"a search takes more than no time, but --max-p95 is {self.p95_ms:g} ms")

    def broken_by(self, point: dict[str, Any]) -> list[str]:
        """What an operating point does not keep, in words; its keys are those of `measuring.measured`."""
        low, p95, size = point["recall_low"], point["query_ms_p95"], point["bytes"]
        broken = []
        if low < self.recall:
            broken.append(f"recall@{self.k} {low:.4f} is below {self.recall:g}")
        if self.p95_ms is not None and p95 > self.p95_ms:
            broken.append(f"p95 {p95:g} ms is above {self.p95_ms:g} ms")
        if self.ram is not None and size > self.ram:
            broken.append(f"{size:,} bytes are more than {self.ram:,}")
        return broken

    def distance(self, point: dict[str, Any]) -> float:
        """How far a point is from keeping it: what it lacks of the recall, and what it takes too much, as shares."""
        far = max(0.0, 1 - point["recall_low"] / self.recall)
        for most, taken in ((self.p95_ms, point["query_ms_p95"]), (self.ram, point["bytes"])):
            far += 0.0 if most is None else max(0.0, taken / most - 1)
        return far


def promised(recall: str | None, p95: str | None, ram: str | None) -> SearchTarget | None:
    """The promise that texts mean (".98@20", "2ms", "4G"), with the usual recall where it is left out; None of nothing.

    Raises SettingsError for other texts, and for what no index can keep.
    """
    if recall is None and p95 is None and ram is None:
        return None
    share, k = (SearchTarget.recall, SearchTarget.k) if recall is None else recall_of(recall)
    return SearchTarget(share, k, None if p95 is None else milliseconds(p95), None if ram is None else parse_size(ram))


def recall_of(text: str) -> tuple[float, int]:
    """(.98, 10) from ".98@10"; without "@", of 20. Raises SettingsError for another text."""
    share, _, k = text.partition("@")
    try:
        return float(share), int(k or SearchTarget.k)
    except ValueError:
        raise SettingsError(f"a recall is a share and a number of results, such as .98@20, but is {text!r}") from None


def milliseconds(text: str) -> float:
    """2.0 from "2ms", "2000us" or "0.002s"; a bare number is of milliseconds. Raises SettingsError for another text."""
    match = re.fullmatch(r"\s*(\d*\.?\d+)\s*(us|µs|ms|s|)\s*", text)
    if match is None:
        raise SettingsError(f"a time is a number with us, ms or s, such as 2ms, but is {text!r}")
    return float(match[1]) * _MS[match[2]]
