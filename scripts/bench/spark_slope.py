"""What rows of several sizes say of a larger log on Spark; `python scripts/bench/spark.py slope` prints it.

For each computation: the line `start + slope × events` of least squares through the processor seconds of its rows, and
how far the cost an event of each size is from the mean of the largest two. A log of `to` events costs `slope × to`
processor seconds, which cores share that do nothing else; shuffles grow in proportion. The crossing point is the size
from which Spark on k cores takes less time than one machine: `seconds = start + events × slope / k`, with the seconds
of the start of Spark, against the line through the seconds of one machine.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Line(NamedTuple):
    """value = start + slope × events, through rows of at least one size."""

    start: float
    slope: float

    @classmethod
    def through(cls, events: Sequence[float], values: Sequence[float]) -> Line:
        """Of least squares of relative errors, so that every size counts alike; from the origin for one size."""
        x, y = np.array(events, dtype=float), np.array(values, dtype=float)
        if len(set(events)) < 2:
            return cls(0.0, float((y / x).mean()))
        terms = np.stack([1 / y, x / y], axis=1)  # (rows, 2)
        start, slope = np.linalg.lstsq(terms, np.ones(len(y)), rcond=None)[0]
        return cls(float(start), float(slope))


def crossing(start: float, slope: float, cores: int, local: Line) -> float | None:
    """The events from which Spark on these cores takes less time than one machine; None if it never does.

    start  seconds of the start of Spark
    slope  processor seconds an event on Spark
    """
    gained = local.slope - slope / cores  # seconds an event
    return max(0.0, (start - local.start) / gained) if gained > 0 else None


def print_slopes(files: Sequence[Path], to: int, price: float, cores: Sequence[int]) -> None:
    """Print the slopes of all computations in files of rows."""
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    kinds = dict.fromkeys((row["what"], row["shape"]) for row in rows)
    for what, shape in kinds:
        engines = {
            engine: [row for row in rows if (row["what"], row["shape"], row["engine"]) == (what, shape, engine)]
            for engine in ("spark", "local")
        }
        if engines["spark"]:
            print("\n".join(slope_lines(f"{what} {shape}", engines["spark"], engines["local"], to, price, cores)))


def slope_lines(
    name: str,
    spark: list[dict[str, Any]],
    local: list[dict[str, Any]],
    to: int,
    price: float,
    cores: Sequence[int],
) -> list[str]:
    """What rows of both engines say of a log of `to` events."""
    spark = sorted(spark, key=lambda row: row["events"])
    events = [row["events"] for row in spark]
    used = Line.through(events, [row["µs/event"] * row["events"] / 1e6 for row in spark])
    mean = np.mean([row["µs/event"] for row in spark[-2:]])
    apart = ", ".join(f"{row['events']:,}: {row['µs/event'] / mean - 1:+.0%}" for row in spark)
    shuffled = Line.through(events, [max(row["shuffled MB"], 1) for row in spark]).slope * to / 1e6
    hours = used.slope * to / 3600
    lines = [
        f"{name}: {used.slope * 1e6:.2f} µs of processor time an event, and {used.start:.0f} s at the start",
        f"    cost an event against the mean of the largest two: {apart}",
        f"    {to:,} events: {hours:,.1f} core-hours, {hours * price:,.2f} at {price:g} a core-hour, "
        f"{shuffled:,.2f} TB shuffled; " + ", ".join(f"{hours / count:,.2f} h on {count} cores" for count in cores),
    ]
    if local and len({*events}) > 1:
        own = Line.through([row["events"] for row in local], [row["seconds"] for row in local])
        start = max(0.0, Line.through(events, [row["seconds"] for row in spark]).start)
        points = ((count, crossing(start, used.slope, count, own)) for count in cores)
        lines.append(
            f"    one machine: {own.slope * 1e6:.2f} µs an event; Spark, which starts in {start:.0f} s, is faster "
            + ", ".join(
                f"on {count} cores {'never' if point is None else f'from {point:,.0f} events on'}"
                for count, point in points
            )
        )
    return lines
