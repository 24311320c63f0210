"""Records of refreshes, the newest first."""

from __future__ import annotations

from pathlib import Path

from embedrec.storage.workspace import Workspace
from embedrec.workflows.refresh.records import FOLDER, read_refreshes, write_refresh


def test_records_of_the_sessions_are_read(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert read_refreshes(workspace, "clicks") == []
    for number, name in enumerate(("clicks", "other", "clicks", "clicks")):
        write_refresh(workspace, {"sessions": name, "files": [f"{number}.csv"], "refused": [], "drift": []})
    (tmp_path / FOLDER / "20991231T000000000000Z.json").write_bytes(b"\xff")
    (tmp_path / FOLDER / "20991231T000000000001Z.json").write_text('{"sessions": "clicks", "drift": 3}')
    assert [one["files"] for one in read_refreshes(workspace, "clicks")] == [["3.csv"], ["2.csv"], ["0.csv"]]
    assert [one["files"] for one in read_refreshes(workspace, "clicks", most=1)] == [["3.csv"]]
