"""Switch: several artifacts take the place of the current ones in one step, and these are kept as versions.

Readers that open the workspace see all old artifacts or all new ones, also when the process is killed at any moment.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from embedrec.errors import ArtifactError
from embedrec.storage import artifacts, atomic
from embedrec.storage.artifacts import FOLDERS, PARTS, VERSIONS, Artifact
from embedrec.storage.switch_journal import complete, finish_locked
from embedrec.storage.version_records import Change, Content, Record, journal_path, read_records, write_record
from embedrec.storage.versions import link_artifact, numbers, readable, version_folder
from embedrec.storage.workspace import Workspace


@dataclass(frozen=True)
class Staged:
    """An artifact that is to take the place of the current one of its kind and name.

    new  in a folder beside the current ones, such as another workspace; None to remove the current one
    old  the current one as it was when the work on the new one began; None if there was none
    """

    new: Artifact | None
    old: Artifact | None

    @property
    def artifact(self) -> Artifact:
        """The one that gives kind and name. Raises ValueError if there is neither."""
        artifact = self.new or self.old
        if artifact is None:
            raise ValueError("a staged artifact is new or removes an old one, not neither")
        return artifact


def switch(workspace: Workspace, staged: Sequence[Staged], *, command: str) -> Record:
    """Put staged artifacts in place of the current ones, all or none; what they replace is kept as versions.

    command  what makes the switch, for its record

    Two processes at once: the second waits, then fails if the first replaced what it was made from. Parts that staged
    composite models have beside them are put beside the others. The staged folders remain.

    Raises ArtifactError if a current artifact is not the one that `staged` names as old, if a name is given twice, or
    if the workspace is read-only.
    """
    root = workspace.root
    keys = [(one.artifact.kind, one.artifact.name) for one in staged]
    if len(set(keys)) < len(keys):
        raise ArtifactError(f"an artifact is staged twice: {', '.join(f'{kind} {name}' for kind, name in keys)}")
    with versions_locked(root) as records:
        for one in staged:
            _check(root, one)
        old = _keep(root, records, [one.old for one in staged])
        number = max([_last(root, records), *(content.version for content in old if content is not None)]) + 1
        new = _keep(root, records, [one.new for one in staged], number)
        for one in staged:
            if one.new is not None:
                _put_parts(root, one.new)
        changes = [Change(*key, put, replaced) for key, put, replaced in zip(keys, new, old, strict=True)]
        return _commit(root, records, command, changes)


def keep_version(workspace: Workspace, artifact: Artifact, *, command: str) -> int:
    """Keep a current artifact as a version, also when it is replaced later; returns the number of the version.

    Takes no space until then, where the file system has hard links. Raises ArtifactError as `switch` does.
    """
    root = workspace.root
    with versions_locked(root) as records:
        _check(root, Staged(None, artifact))
        content = _recorded(root, records, artifact)
        if content is None:
            content = _kept(root, artifact, _last(root, records) + 1)
            _commit(root, records, command, [Change(artifact.kind, artifact.name, content, content)])
        return content.version


@contextmanager
def versions_locked(root: Path) -> Iterator[list[Record]]:
    """The records of a workspace, while no other process changes its versions; an interrupted switch is completed.

    Raises ArtifactError if the workspace is read-only.
    """
    try:
        (root / VERSIONS).mkdir(parents=True, exist_ok=True)
        writable = os.access(root / VERSIONS, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise ArtifactError(f"{root} is not writable; choose another workspace")
    with atomic.locked(root / VERSIONS):
        finish_locked(root)
        yield read_records(root)


def _check(root: Path, staged: Staged) -> None:
    """Raises ArtifactError if the current artifact is another than the one that is to be replaced."""
    kind, name = staged.artifact.kind, staged.artifact.name
    folder = root / FOLDERS[kind] / name
    artifacts.check_place(folder)
    if staged.old is None:
        if os.path.lexists(folder) and readable(folder, kind) is None:
            raise ArtifactError(f"{folder} is damaged; remove it with `embedrec artifact rm {name} --kind {kind}`")
        if os.path.lexists(folder):
            raise ArtifactError(f"another process changed {folder} in the meantime; try again")
    elif not folder.exists() or artifacts.read(folder, kind).digest != staged.old.digest:
        raise ArtifactError(f"another process changed {folder} in the meantime; try again")


def _last(root: Path, records: Sequence[Record]) -> int:
    """The highest number of a version, also of one that is removed."""
    contents = [content for r in records for c in r.changes for content in (c.put, c.replaced) if content is not None]
    return max([0, *numbers(root)[:1], *(content.version for content in contents)])


def _recorded(root: Path, records: Sequence[Record], artifact: Artifact) -> Content | None:
    """The content of an artifact that a record gave a number, and that is kept; None if there is none."""
    for record in reversed(records):
        for change in record.changes:
            for content in (change.put, change.replaced):
                if content is not None and (change.kind, change.name, content.digest) == (
                    artifact.kind, artifact.name, artifact.digest
                ):  # fmt: skip
                    folder = version_folder(root, content.version, change.kind, change.name)
                    kept = readable(folder, change.kind)
                    return content if kept is not None and kept.digest == artifact.digest else None
    return None


def _keep(
    root: Path, records: Sequence[Record], given: Sequence[Artifact | None], number: int | None = None
) -> list[Content | None]:
    """What some artifacts are, after keeping those that are no versions as the version `number`; None for the next."""
    number = _last(root, records) + 1 if number is None else number
    contents: list[Content | None] = []
    for artifact in given:
        content = None if artifact is None else _recorded(root, records, artifact)
        if artifact is not None and content is None:
            content = _kept(root, artifact, number)
        contents.append(content)
    return contents


def _kept(root: Path, artifact: Artifact, number: int) -> Content:
    """What an artifact is, after keeping it as a version."""
    link_artifact(artifact, version_folder(root, number, artifact.kind, artifact.name))
    atomic.flush(root / VERSIONS / str(number))
    return Content(number, artifact.digest, artifact.fingerprint, artifact.created)


def _put_parts(root: Path, model: Artifact) -> None:
    """Put the parts that a staged composite model has in a folder beside it to those of the workspace."""
    for entry in model.about.get("parts", {}).values():
        folder, _, name = entry["name"].rpartition("/")
        if folder == PARTS and artifacts.plain_name(name):
            part = readable(model.folder.parent / PARTS / name, "model")
            target = root / FOLDERS["model"] / PARTS / name
            if part is not None and part.fingerprint == entry["fingerprint"] and readable(target, "model") is None:
                link_artifact(part, target)


def _commit(root: Path, records: Sequence[Record], command: str, changes: list[Change]) -> Record:
    """Write the journal of a switch, from which moment on it happens, and complete it."""
    sequence = records[-1].sequence + 1 if records else 1
    record = Record(sequence, datetime.now(UTC).isoformat(timespec="microseconds"), command, changes)
    write_record(journal_path(root), record)
    complete(root, record)
    return record
