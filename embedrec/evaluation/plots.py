"""Plots as SVG files, with matplotlib, an optional extra."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.errors import need_package
from embedrec.evaluation.neighbour_grid import Grid


def check_plots() -> None:
    """Raises SettingsError if matplotlib is missing; called before long computations."""
    need_package("matplotlib", "the plot")


@contextmanager
def _style() -> Iterator[None]:
    """Ignore a `matplotlibrc` in the current folder, which matplotlib prefers to the user's own: it may come with
    downloaded data, and make matplotlib run other programs (`text.usetex`)."""
    import matplotlib

    if Path(matplotlib.matplotlib_fname()).absolute().parent != Path.cwd():
        yield
        return
    with matplotlib.rc_context(matplotlib.rcParamsDefault):
        yield


@_style()
def draw_grid(grid: Grid, title: str, path: Path) -> None:
    """Hit rate and MRR against the number of neighbours, a line a list length, as the SVG file `path`."""
    from matplotlib.figure import Figure  # pyplot would retain figures and look for a display

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    figure.suptitle(title)
    for axes, name, values in zip(figure.subplots(1, 2), ("hit rate", "MRR"), (grid.hit_rate, grid.mrr), strict=True):
        for k, line in zip(reversed(grid.at), values.T[::-1], strict=True):  # the longest list has the highest line
            axes.plot(grid.neighbours, line, marker="o", markersize=3, label=f"@{k}")
        axes.set(xlabel="neighbours", ylabel=name, xticks=_ticks(grid.neighbours))
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, format="svg", metadata={"Date": None})


@_style()
def draw_points(points: Sequence[Mapping[str, Any]], title: str, path: Path) -> None:
    """Operating points of indexes as the SVG file `path`: speed and p95 against recall; the chosen one has a ring."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    figure.suptitle(title)
    recall = next(key for key in points[0] if key.startswith("recall@"))
    panels = (("queries_per_second", "queries a second, in a batch"), ("query_ms_p95", "p95 of single queries, ms"))
    for axes, (key, label) in zip(figure.subplots(1, 2), panels, strict=True):
        for spec in dict.fromkeys(point["spec"] for point in points):
            own = [point for point in points if point["spec"] == spec]
            axes.plot([p[recall] for p in own], [p[key] for p in own], marker="o", markersize=4, label=spec)
        kept = [point for point in points if point.get("kept")]
        axes.scatter([p[recall] for p in kept], [p[key] for p in kept], s=120, facecolors="none", edgecolors="black")
        axes.set(xlabel=recall, ylabel=label, yscale="log")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, format="svg", metadata={"Date": None})


def _ticks(numbers: tuple[int, ...]) -> np.ndarray:
    """At most a dozen of the numbers, evenly spaced."""
    return np.array(numbers)[:: -(-len(numbers) // 12)]
