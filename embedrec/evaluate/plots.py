"""Figures as SVG; the only place that draws, with matplotlib, which is an extra."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from embedrec.errors import SettingsError
from embedrec.evaluate.grid import Grid


def check_plots() -> None:
    """Raises SettingsError when matplotlib is missing: long work asks before it begins."""
    if find_spec("matplotlib") is None:
        raise SettingsError("the plot needs matplotlib; install it with `pip install 'embedrec[plots]'`")


def draw_grid(grid: Grid, title: str, path: Path) -> None:
    """Hit rate and MRR against the number of neighbours, a line a length of list, as the SVG file `path`."""
    from matplotlib.figure import Figure  # pyplot would keep figures, and look for a screen

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    figure.suptitle(title)
    for axes, name, values in zip(figure.subplots(1, 2), ("hit rate", "MRR"), (grid.hit_rate, grid.mrr), strict=True):
        for k, line in zip(reversed(grid.at), values.T[::-1], strict=True):  # the longest list lies highest
            axes.plot(grid.neighbours, line, marker="o", markersize=3, label=f"@{k}")
        axes.set(xlabel="neighbours", ylabel=name, xticks=_ticks(grid.neighbours))
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, format="svg", metadata={"Date": None})


def _ticks(numbers: tuple[int, ...]) -> np.ndarray:
    """At most a dozen of the numbers, evenly."""
    return np.array(numbers)[:: -(-len(numbers) // 12)]
