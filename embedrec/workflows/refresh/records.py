"""Records of refreshes: WORKSPACE/refreshes/TIME.json, one for each that was put in place or refused.

The HTML report shows them night by night.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from embedrec.errors import decoded_or_none
from embedrec.storage.atomic import atomic_file
from embedrec.storage.workspace import Workspace

FOLDER = "refreshes"
_FORM = "%Y%m%dT%H%M%S%fZ"


def write_refresh(workspace: Workspace, record: dict[str, Any]) -> dict[str, Any]:
    """Write the record of a refresh, with the current time; returns it.

    record  JSON values: "sessions", "files", "refused" (reasons, empty if it was put in place), and "drift", a list
            with "kind", "name" and the figures of each model and index
    """
    now = datetime.now(UTC)
    whole = {"at": now.isoformat(timespec="seconds"), **record}
    with atomic_file(workspace.root / FOLDER / f"{now.strftime(_FORM)}.json", follow=False) as file:
        json.dump(whole, file, ensure_ascii=False, allow_nan=False, indent=1)
        file.write("\n")
    return whole


def read_refreshes(workspace: Workspace, sessions: str, most: int = 30) -> list[dict[str, Any]]:
    """The records of the last refreshes of these sessions, the newest first; damaged files are passed over."""
    folder = workspace.root / FOLDER
    files = sorted(folder.glob("[!.]*.json"), reverse=True) if folder.is_dir() else []
    records = []
    for file in files:
        record = decoded_or_none(lambda file=file: json.loads(file.read_bytes()))  # type: ignore[misc]
        if isinstance(record, dict) and record.get("sessions") == sessions and isinstance(record.get("drift"), list):
            records.append(record)
            if len(records) == most:
                break
    return records
