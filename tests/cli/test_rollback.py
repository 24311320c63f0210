"""`embedrec rollback` and `embedrec info --versions`: exactly what they print."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embedrec.storage.artifacts import FOLDERS
from tests.cli.conftest import Run, fails, succeed
from tests.storage.versioned import switched, texts


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace, and the current folder, whose artifacts x were refreshed twice."""
    monkeypatch.chdir(tmp_path)
    return switched(tmp_path, "123")


def test_rollback_says_what_is_current_again(run: Run, nights: Path) -> None:
    result = succeed(run, "rollback")
    assert result.rows == [[kind, "x", "2", "3"] for kind in FOLDERS]
    assert result.err == "".join(
        f"{kind} x is version 2 again, not 3; another rollback reverts this\n" for kind in FOLDERS
    )
    assert texts(nights) == ["2"] * 3
    assert [json.loads(line) for line in succeed(run, "rollback", "x", "--json").out.splitlines()] == [
        {"kind": kind, "name": "x", "version": 3, "before": 2} for kind in FOLDERS
    ]
    assert succeed(run, "rollback", "--to", 1).rows == [[kind, "x", "1", "3"] for kind in FOLDERS]


def test_rollback_without_versions(run: Run, tmp_path: Path) -> None:
    assert fails(run, "rollback", "--workspace", tmp_path) == (
        f"nothing to roll back: no switch is recorded in {tmp_path}; `embedrec refresh` keeps what it replaces, and "
        "`embedrec artifact tag` keeps what is current"
    )
    assert "--prefix needs --published" in run("rollback", "--prefix", "x").err


def test_versions_are_listed(run: Run, nights: Path) -> None:
    rows = succeed(run, "info", "--versions").rows
    assert [row[:3] for row in rows] == [[str(number), kind, "x"] for number in (3, 2, 1) for kind in FOLDERS]
    assert [row[4] for row in rows] == ["current"] * 3 + ["kept"] * 6
    assert [row[6] for row in rows] == ["refresh"] * 6 + [""] * 3
    assert all(int(row[7]) > 0 for row in rows[3:]) and {row[7] for row in rows[:3]} == {"0"}
    assert succeed(run, "info", "--versions", "x").rows == rows
    assert fails(run, "info", "--versions", "y") == (
        "no version of 'y' is kept in .; `embedrec info --versions` lists all"
    )
    assert "mutually exclusive" in run("info", "--versions", "--sessions").err


def test_a_workspace_without_versions(run: Run, tmp_path: Path) -> None:
    result = succeed(run, "info", "--versions", "--workspace", tmp_path)
    assert result.out == "" and result.err.startswith(f"no versions are kept in {tmp_path}; ")


def test_a_version_is_described_by_name_and_number(run: Run, nights: Path) -> None:
    rows = succeed(run, "info", "x@1").rows
    assert rows.count(["name", "x"]) == rows.count(["version", "1"]) == 3
    assert succeed(run, "info", "x").rows.count(["version", "3"]) == 3
    assert fails(run, "info", "x@7") == "no version '7' of index x is kept in .; kept are 3, 2, 1"
    assert fails(run, "info", "x@../1") == "no version '../1' of index x is kept in .; kept are 3, 2, 1"
    assert fails(run, "info", "../x@1") == "no artifact '../x@1' in .; `embedrec info` lists them"
