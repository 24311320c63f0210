"""`embedrec gc`: exactly what it prints."""

from __future__ import annotations

import shutil
from pathlib import Path

from embedrec.storage.artifacts import FOLDERS
from embedrec.storage.switch import switch
from embedrec.storage.workspace import Workspace
from tests.cli.conftest import Run, succeed
from tests.storage.versioned import put, stage


def test_gc_says_what_it_frees(run: Run, tmp_path: Path) -> None:
    for kind in FOLDERS:
        put(tmp_path, kind, "x", "1" * 600_000)
    for text in "23":
        switch(Workspace(tmp_path), stage(tmp_path, text), command="refresh")
    shutil.rmtree(tmp_path / ".staging")
    where = ("--workspace", tmp_path)
    assert succeed(run, "gc", *where).err == "nothing to free\n"
    plan = succeed(run, "gc", "--keep", 1, "--dry-run", *where)
    assert plan.err == "would free 1.8 MB: 3 versions, 0 abandoned refreshes, 0 parts\n"
    assert [row[:4] for row in plan.rows] == [["version", kind, "x", "1"] for kind in FOLDERS]
    done = succeed(run, "gc", "--keep", 1, *where)
    assert done.err == "freed 1.8 MB: 3 versions, 0 abandoned refreshes, 0 parts\n" and done.rows == plan.rows
    assert not (tmp_path / "versions" / "1").exists()
