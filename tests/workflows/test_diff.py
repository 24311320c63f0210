"""Counts of the items of exports."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.errors import DataError
from embedrec.storage.workspace import Workspace
from embedrec.workflows.diff import item_counts


def test_counts_are_read_from_a_table(tmp_path: Path) -> None:
    table = tmp_path / "counts.csv"
    table.write_text("item,count\na,3\nb,5\nz,1\n")
    assert item_counts(["a", "b"], Workspace(tmp_path), table, None) == {"a": 3.0, "b": 5.0}
    table.write_text("item,plays\na,3\n")
    with pytest.raises(DataError) as error:
        item_counts(["a"], Workspace(tmp_path), table, None)
    assert str(error.value) == f"{table} needs a column 'count' of numbers; rename the column"


def test_counts_are_those_of_sessions(root: Path) -> None:
    counts = item_counts(["i00"], Workspace(root), None, "world")
    assert counts is not None and counts["i00"] > 1 and len(counts) > 20


def test_missing_counts_are_none(tmp_path: Path) -> None:
    assert item_counts(["a"], Workspace(tmp_path), None, None) is None
