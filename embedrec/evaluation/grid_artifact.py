"""Grids on disk: a table and a plot in one artifact."""

from __future__ import annotations

import csv
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from embedrec.evaluation.neighbour_grid import Grid
from embedrec.evaluation.plots import draw_grid
from embedrec.storage import artifacts


def save_grid(grid: Grid, folder: Path, about: dict[str, Any], *, title: str) -> None:
    """Write a grid as the artifact `folder`, kind "grid": grid.csv (a row a cell) and grid.svg (`draw_grid`)."""
    rows = grid.rows()
    with artifacts.writing(folder, "grid", about) as draft:
        with draft.path("grid.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
        draw_grid(grid, title, draft.path("grid.svg"))


def remove_parts(grid: Grid, parts: Path) -> None:
    """Remove the finished parts of a grid below `parts`, and the folder itself if it is then empty."""
    shutil.rmtree(parts / grid.fingerprint, ignore_errors=True)
    with suppress(OSError):  # missing, or not empty
        parts.rmdir()
