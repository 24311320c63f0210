"""Tables of metrics for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def by_metric(
    metrics: Mapping[str, float], intervals: Mapping[str, tuple[float, float]], ks: Sequence[int]
) -> list[dict[str, Any]]:
    """One row per metric, one column per list length; the interval is that of the longest list."""
    names = list(dict.fromkeys(key.partition("@")[0] for key in metrics))
    rows = []
    for name in names:
        plain = name in metrics  # r_precision has no list length
        cells = {f"@{k}": metrics.get(f"{name}@{k}", metrics[name] if plain else None) for k in ks}
        row: dict[str, Any] = {"metric": name, **cells}
        last = name if plain else max((key for key in metrics if key.startswith(f"{name}@")), key=_length)
        if intervals:
            row["low"], row["high"] = intervals.get(last, (None, None))
        if not plain and last not in (f"{name}@{k}" for k in ks):  # a metric with its own list length
            row["metric"], row[f"@{ks[-1]}"] = last, metrics[last]
        rows.append(row)
    return rows


def _length(key: str) -> int:
    return int(key.partition("@")[2])
