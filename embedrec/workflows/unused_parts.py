"""Kept parts of composite models that no model uses any more: list them, and remove them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from embedrec.errors import ArtifactError
from embedrec.storage import artifacts, atomic
from embedrec.storage.artifacts import FOLDERS, PARTS
from embedrec.storage.versions import readable
from embedrec.storage.workspace import Workspace
from embedrec.workflows.versions import version_folders


@dataclass(frozen=True)
class UnusedPart:
    """A part in `models/parts` that no model of the workspace names.

    bytes  size of its files
    """

    name: str
    bytes: int


def unused_parts(workspace: Workspace, without: Collection[Path] = ()) -> list[UnusedPart]:
    """The unused parts by name. They only save time: a training that needs one trains it again.

    without  folders of versions of models that do not count

    Raises ArtifactError for a model that cannot be read, as its parts are unknown.
    """
    return [UnusedPart(folder.name, _size(folder)) for folder in _unused(workspace, without)]


def remove_unused_parts(workspace: Workspace) -> list[UnusedPart]:
    """Remove the unused parts, and return them. A model that is being written is kept from naming one of them.

    Raises ArtifactError as `unused_parts` does, and for a folder with files that belong to no artifact.
    """
    models = workspace.root / FOLDERS["model"]
    if not models.is_dir():
        return []
    with atomic.locked(models):  # held when a model is written, see `artifacts.writing`
        folders = _unused(workspace)
        for folder in folders:
            artifacts.check_place(folder)
        removed = [UnusedPart(folder.name, _size(folder)) for folder in folders]
        for folder in folders:
            atomic.remove_folder(folder)
    return removed


def _unused(workspace: Workspace, without: Collection[Path] = ()) -> list[Path]:
    """The folders of the parts that neither a model nor a version of one uses, by name."""
    parts = workspace.root / FOLDERS["model"] / PARTS
    folders = [f.parent for f in sorted(parts.glob(f"*/{artifacts.MANIFEST}")) if not f.parent.name.startswith(".")]
    for folder, error in workspace.unreadable("model").items() if folders else ():
        raise ArtifactError(f"which parts are used is unknown, as model {folder.name} cannot be read: {error}")
    versions = [folder for _, kind, folder in version_folders(workspace.root) if kind == "model"]
    models = [
        *workspace.artifacts("model"),
        *filter(None, (readable(folder, "model") for folder in versions if folder not in without)),
    ]
    used = {entry["name"] for model in models for entry in model.about.get("parts", {}).values()}
    return [folder for folder in folders if f"{PARTS}/{folder.name}" not in used]


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
