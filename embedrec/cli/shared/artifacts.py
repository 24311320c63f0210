"""Notes on the artifacts that a command uses: which, whether they are stale, and which others exist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from embedrec.cli.shared.options import note, note_artifact
from embedrec.storage.artifacts import Artifact
from embedrec.storage.lineage import check_current, line_of, other_lines, outdated_by, stale
from embedrec.storage.workspace import Workspace

_NAMED = 3  # maximum number of other artifacts to name
_CLOCKS = timedelta(minutes=10)  # tolerated difference between the clocks of machines

stale_option = click.option(
    "--stale-ok", is_flag=True, help="Use an index or a model although its sources have changed since it was created."
)


def use_artifact(workspace: Workspace, artifact: Artifact, among: Iterable[Artifact] = ()) -> Artifact:
    """Print which artifact a command uses, why it is stale, and which artifacts of `among` are of other data.

    among  the artifacts it was chosen from; none if the user gave a name
    """
    note_artifact(artifact)
    if (why := stale(workspace, artifact)) is not None:
        note(f"{artifact.kind} {artifact.name} is stale: {why}")
    if (year := _future(artifact)) is not None:
        note(
            f"{artifact.kind} {artifact.name} is dated {year}, which is in the future, so it remains the latest; "
            "name another one, or create it again"
        )
    among = list(among)
    for folder, error in workspace.unreadable(artifact.kind).items() if among else ():
        note(f"{artifact.kind} {folder.name} is skipped: {error}")
    others = other_lines(workspace, artifact, among)
    for other in others[:_NAMED]:
        kind, name = line_of(workspace, other)
        origin = "" if name == other.name else f" of {kind} {name}"
        newer = ", which is newer" if other.created > artifact.created else ""
        note(f"there is also {other.kind} {other.name}{origin}{newer}; --{other.kind} {other.name} selects it")
    if len(others) > _NAMED:
        note(f"there are {len(others) - _NAMED} more of other data; `embedrec info` lists them")
    return artifact


def _future(artifact: Artifact) -> str | None:
    """The date of an artifact from the future, beyond a tolerated difference of clocks; else None."""
    written = datetime.fromisoformat(artifact.created)
    return artifact.created[:10] if written > datetime.now(UTC) + _CLOCKS else None


def use_artifacts(
    workspace: Workspace, artifacts: Sequence[Artifact], among: Iterable[Artifact] = (), *, stale_ok: bool = True
) -> None:
    """`use_artifact` of the first artifact, and a note on each of the others, which it needs.

    Raises SettingsError if the first is stale, unless `stale_ok`.
    """
    first, *rest = artifacts
    if not stale_ok:
        check_current(workspace, [first])
    use_artifact(workspace, first, among)
    for artifact in rest:
        note_artifact(artifact)


def find_sessions(workspace: Workspace, name: str | None) -> Artifact:
    """The sessions of that name, or the latest; prints which are used."""
    return use_artifact(workspace, workspace.find("sessions", name), unnamed(workspace, "sessions", name))


def find_model(workspace: Workspace, name: str | None) -> Artifact:
    """The model of that name, or the latest; prints which is used."""
    return use_artifact(workspace, workspace.find("model", name), unnamed(workspace, "model", name))


def unnamed(workspace: Workspace, kind: str, *names: str | None) -> list[Artifact]:
    """All artifacts of a kind if no name was given, else none."""
    return workspace.artifacts(kind) if all(name is None for name in names) else []


def note_replaced(workspace: Workspace, folder: Path, sessions: Artifact) -> None:
    """Print a note if a model of other data in `folder` is about to be replaced by one of these sessions."""
    old = next((a for a in workspace.artifacts("model") if a.folder == folder), None)
    if old is None:
        return
    kind, name = line_of(workspace, old)
    if kind == "sessions" and (kind, name) != line_of(workspace, sessions):
        note(f"model {old.name} of sessions {name} will be replaced; give another --name to keep both")


def note_outdated(workspace: Workspace, written: Artifact) -> None:
    """Print which artifacts are stale after an artifact was written again."""
    for artifact in outdated_by(workspace, written):
        note(f"{artifact.kind} {artifact.name} derives from the old {written.kind} {written.name} and is now stale")
