"""Plots as SVG files: labels, lines, markers, and a plot that is the same every time."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from embedrec.errors import SettingsError
from embedrec.evaluation.neighbour_grid import Grid
from embedrec.evaluation.plots import check_plots, draw_grid, draw_points

pytest.importorskip("matplotlib")

POINTS = [
    {"spec": "IVF4", "recall@5": 0.5, "queries_per_second": 90.0, "query_ms_p95": 0.1},
    {"spec": "IVF4", "recall@5": 0.9, "queries_per_second": 40.0, "query_ms_p95": 0.4, "kept": True},
    {"spec": "Flat", "recall@5": 1.0, "queries_per_second": 10.0, "query_ms_p95": 1.0, "kept": False},
]


def grid(neighbours: tuple[int, ...] = (1, 5, 20), at: tuple[int, ...] = (10, 20)) -> Grid:
    values = np.linspace(0, 1, len(neighbours) * len(at)).reshape(len(neighbours), len(at))
    return Grid(neighbours, at, values, values / 2, 9, 0.1, "f" * 64)


def texts(path: Path) -> list[str]:
    """The texts of a plot in drawing order; matplotlib writes each as a comment beside its outlines."""
    return re.findall(r"<!-- (.*?) -->", path.read_text())


def shapes(path: Path, group: str, shape: str) -> list[int]:
    """How many shapes, "use" for markers or "path", each group of a kind of a plot has."""
    svg = "{http://www.w3.org/2000/svg}"
    groups = [g for g in ElementTree.parse(path).iter(f"{svg}g") if re.fullmatch(group + r"_\d+", g.get("id", ""))]
    return [len(list(g.iter(svg + shape))) for g in groups]


def test_a_grid_has_one_line_per_list_length(tmp_path: Path) -> None:
    draw_grid(grid(), "the title", tmp_path / "grid.svg")
    drawn = texts(tmp_path / "grid.svg")
    assert {"the title", "neighbours", "hit rate", "MRR", "1", "5", "20"} <= set(drawn)
    assert [text for text in drawn if text.startswith("@")] == ["@20", "@10"] * 2  # in both panels, longest first
    assert [count for count in shapes(tmp_path / "grid.svg", "line2d", "use") if count == 3] == [3] * 4


def test_at_most_a_dozen_ticks(tmp_path: Path) -> None:
    draw_grid(grid(tuple(range(100, 130))), "", tmp_path / "grid.svg")
    ticks = [int(text) for text in texts(tmp_path / "grid.svg") if re.fullmatch(r"1[0-3]\d", text)]
    assert ticks == [*range(100, 130, 3)] * 2


def test_operating_points_have_one_line_per_index_and_a_ring_for_the_chosen_one(tmp_path: Path) -> None:
    draw_points(POINTS, "indexes", tmp_path / "points.svg")
    drawn = texts(tmp_path / "points.svg")
    assert {"indexes", "recall@5", "queries a second, in a batch", "p95 of single queries, ms"} <= set(drawn)
    assert [text for text in drawn if text in ("IVF4", "Flat")] == ["IVF4", "Flat"] * 2
    assert shapes(tmp_path / "points.svg", "PathCollection", "path") == [1, 1]  # one ring in each panel
    assert [count for count in shapes(tmp_path / "points.svg", "line2d", "use") if count == 2] == [2, 2]


def test_plots_are_reproducible_and_have_no_date(tmp_path: Path) -> None:
    for name in ("one", "two"):
        draw_grid(grid(), "title", tmp_path / name)
    assert texts(tmp_path / "one") == texts(tmp_path / "two")
    assert "<dc:date>" not in (tmp_path / "one").read_text()


def test_missing_matplotlib_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    check_plots()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SettingsError) as error:
        check_plots()
    assert str(error.value) == (
        "the plot needs the package matplotlib; install it with `pip install 'embedrec[plots]'`"
    )
