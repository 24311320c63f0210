"""Grids on disk: the table, the plot, and the removal of finished parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedrec.errors import ArtifactError
from embedrec.evaluation.grid_artifact import remove_parts, save_grid
from embedrec.evaluation.neighbour_grid import Grid
from embedrec.storage import artifacts

GRID = Grid(
    (5, 10), (1, 20), np.array([[0.25, 0.5], [0.1, 1.0]]), np.array([[0.25, 1 / 3], [0.0, 0.125]]), 8, 0.5, "ab"
)

pytest.importorskip("matplotlib")


def test_the_artifact_contains_the_table_and_the_plot(tmp_path: Path) -> None:
    save_grid(GRID, tmp_path / "grid", {"model": "sscf"}, title="sscf on all")
    artifact = artifacts.read(tmp_path / "grid", "grid")
    artifact.check()
    assert artifact.about["model"] == "sscf"
    assert (tmp_path / "grid" / "grid.csv").read_bytes() == (
        b"neighbours,k,hit_rate,mrr\n5,1,0.25,0.25\n5,20,0.5,0.3333333333333333\n10,1,0.1,0.0\n10,20,1.0,0.125\n"
    )
    plot = (tmp_path / "grid" / "grid.svg").read_text()
    assert "<!-- sscf on all -->" in plot and plot.startswith("<?xml")


def test_a_failed_plot_leaves_the_old_grid(tmp_path: Path) -> None:
    save_grid(GRID, tmp_path / "grid", {"model": "old"}, title="")
    ragged = Grid((5, 10), (1, 20), GRID.hit_rate, GRID.mrr[:1], 8, 0.5, "ab")
    with pytest.raises(IndexError):
        save_grid(ragged, tmp_path / "grid", {"model": "new"}, title="")
    assert artifacts.read(tmp_path / "grid", "grid").about["model"] == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["grid"]
    with pytest.raises(ArtifactError):
        artifacts.read(tmp_path / "grid", "model")


def test_parts_are_removed_with_their_folder(tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    for fingerprint in ("ab", "cd"):
        (parts / fingerprint).mkdir(parents=True)
        (parts / fingerprint / "0-8.part").write_bytes(b"x")
    remove_parts(GRID, parts)
    assert [path.name for path in parts.iterdir()] == ["cd"]  # the parts of another grid remain
    (parts / "cd").rename(parts / "ab")
    remove_parts(GRID, parts)
    assert not parts.exists()
    remove_parts(GRID, parts)  # nothing is left to remove
