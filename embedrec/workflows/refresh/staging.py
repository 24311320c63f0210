"""The staging workspace of a refresh: WORKSPACE/.refresh/NAME, with the state of the refresh.

Everything is written there first; nothing outside changes before the switch. A refresh that was killed finds what it
had finished, if it has the same inputs, and starts again otherwise.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedrec.errors import ArtifactError, SettingsError, decoded_or_none
from embedrec.progress import Report, quiet
from embedrec.storage import artifacts, atomic
from embedrec.storage.artifacts import Artifact
from embedrec.storage.atomic import Lock, atomic_file
from embedrec.storage.workspace import Workspace

FOLDER = ".refresh"
_STATE = "state.json"


@contextmanager
def refreshing(workspace: Workspace, *, wait: bool = True, report: Report = quiet) -> Iterator[Path]:
    """The folder of the staging workspaces, locked: one refresh of a workspace runs at a time.

    wait  for another refresh to end; else raises SettingsError if there is one

    Raises ArtifactError for a read-only workspace.
    """
    folder = workspace.root / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise ArtifactError(f"{workspace.root} is not writable; choose another workspace")
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if atomic.lock(descriptor) is Lock.HELD:
            if not wait:
                raise SettingsError(f"another refresh of {workspace.root} is running; try again when it has ended")
            report("note", message=f"another refresh of {workspace.root} is running; waiting until it has ended")
            atomic.lock(descriptor, wait=True)
        yield folder
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Staging:
    """The staging workspace of some sessions.

    folder  of the staging workspace
    key     all that the staged artifacts depend on: inputs, the artifacts that they replace, settings
    """

    folder: Path
    key: dict[str, Any]

    @property
    def workspace(self) -> Workspace:
        """The workspace of the staged artifacts."""
        return Workspace(self.folder)

    def open(self, report: Report = quiet) -> bool:
        """Prepare the folder; returns whether it has what an earlier refresh of the same inputs had finished.

        What another refresh left is removed, with a note if its candidate was refused.
        """
        state = self._state()
        if state.get("key") == self.key:
            return True
        if state.get("refused"):
            files = ", ".join(state["key"].get("files", ()))
            report(
                "note", message=f"the refused candidate of {files} is discarded; name its files again to include them"
            )
        if self.folder.exists():
            atomic.remove_folder(self.folder)
        self.folder.mkdir(parents=True)
        self._write({"key": self.key})
        return False

    def refuse(self, reasons: list[str]) -> None:
        """Record why the candidate is not put in place."""
        self._write({"key": self.key, "refused": reasons})

    def finished(self, kind: str, name: str) -> Artifact | None:
        """A staged artifact that is whole; None if there is none."""
        folder = self.workspace.folder(kind, name)
        try:
            return artifacts.read(folder, kind) if folder.is_dir() else None
        except ArtifactError:
            return None

    def remove(self) -> None:
        """Remove the staging workspace."""
        if self.folder.exists():
            atomic.remove_folder(self.folder)

    def load(self, name: str) -> Any:
        """A JSON value that was saved; None if there is none."""
        return decoded_or_none(lambda: json.loads((self.folder / f"{name}.json").read_bytes()))

    def save(self, name: str, value: Any) -> None:
        """Save a JSON value."""
        with atomic_file(self.folder / f"{name}.json", follow=False) as file:
            json.dump(value, file, ensure_ascii=False)

    def _state(self) -> dict[str, Any]:
        state = decoded_or_none(lambda: json.loads((self.folder / _STATE).read_bytes()))
        return state if isinstance(state, dict) else {}

    def _write(self, state: dict[str, Any]) -> None:
        self.save(_STATE.removesuffix(".json"), state)
