"""Roll back: put the versions back that a switch has replaced, all together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from embedrec.errors import SettingsError
from embedrec.storage.switch import Staged, switch
from embedrec.storage.version_records import Content, Record, read_records
from embedrec.storage.version_tags import read_tags
from embedrec.storage.versions import is_number, version_folder
from embedrec.storage.workspace import Workspace
from embedrec.workflows.versions import Key, current_artifacts, recorded_version, version_folders


@dataclass(frozen=True)
class RolledBack:
    """An artifact that was rolled back.

    version  its number now; None if it is removed, as there was none before
    before   the number of what it replaced; None if there was none
    """

    kind: str
    name: str
    version: int | None
    before: int | None


def roll_back(workspace: Workspace, name: str | None = None, to: str | None = None) -> list[RolledBack]:
    """Undo the newest switch of a workspace; what it put in place becomes a version, so that a second call undoes this.

    name  undo the newest switch that changed the artifacts of this name, together with all others that it changed
    to    the number of a version or a tag: undo all switches since this version was put in place

    Raises SettingsError if there is nothing to undo, or if a later switch changed some of the artifacts; ArtifactError
    for versions that are no longer kept, and if another process changes the artifacts meanwhile.
    """
    root = workspace.root
    current = current_artifacts(workspace)
    every = read_records(root)
    records = [record for record in every if name is None or _changes(record, name)]
    if to is not None and not is_number(to):
        undone, target = [], _tagged(workspace, name, to)
    else:
        digests = {key: artifact.digest for key, artifact in current.items()}
        undone = _newest(records, digests) if to is None else _since(workspace, records, int(to), name)
        target = {(c.kind, c.name): _number(c.replaced) for record in reversed(undone) for c in record.changes}
        _check_untouched(every, undone, name)
    if not target and (to is None or not is_number(to)):
        raise SettingsError(_nothing(workspace, name, to))
    staged = []
    for key, number in target.items():
        if number is not None and key not in current and not version_folder(root, number, *key).is_dir():
            continue  # it was removed, with its versions
        new = None if number is None else recorded_version(root, *key, number)
        old = current.get(key)
        if (new and new.digest) != (old and old.digest):
            staged.append(Staged(new, old))
    if not staged and to is None:
        raise SettingsError("nothing to roll back: what the last switch replaced was removed")
    if not staged:
        raise SettingsError(f"the artifacts are as {to} has them already; `embedrec info --versions` lists others")
    record = switch(workspace, staged, command="rollback")
    return [RolledBack(c.kind, c.name, _number(c.put), _number(c.replaced)) for c in record.changes]


def _changes(record: Record, name: str) -> bool:
    return any(change.name == name for change in record.changes)


def _number(content: Content | None) -> int | None:
    return None if content is None else content.version


def _newest(records: Sequence[Record], current: dict[Key, str]) -> list[Record]:
    """The newest switch, unless what it replaced is current again; then the one before it, and so on; none if none."""
    for record in reversed(records):
        replaced = {(change.kind, change.name): change.replaced for change in record.changes}
        if any(current.get(key) != (content and content.digest) for key, content in replaced.items()):
            return [record]
    return []


def _since(workspace: Workspace, records: Sequence[Record], number: int, name: str | None) -> list[Record]:
    """The switches since a version was put in place first, or kept; oldest first. Raises SettingsError if none did."""
    put = [r.sequence + 1 for r in records if any(_number(c.put) == number for c in r.changes)]
    replaced = [r.sequence for r in records if any(_number(c.replaced) == number for c in r.changes)]
    if not put and not replaced:
        raise SettingsError(_nothing(workspace, name, str(number)))
    return [record for record in records if record.sequence >= min(put or replaced)]


def _tagged(workspace: Workspace, name: str | None, tag: str) -> dict[Key, int | None]:
    tagged = read_tags(workspace.root).get(tag, [])
    return {(one.kind, one.name): one.version for one in tagged if name in (None, one.name)}


def _check_untouched(every: Sequence[Record], undone: Sequence[Record], name: str | None) -> None:
    """Raises SettingsError if a switch that is not undone changed one of the artifacts later."""
    touched = {(change.kind, change.name): record.sequence for record in reversed(undone) for change in record.changes}
    for record in every:
        for change in record.changes if record not in undone else ():
            if record.sequence > touched.get((change.kind, change.name), record.sequence):
                raise SettingsError(
                    f"{change.kind} {change.name}, which was replaced together with {name}, was replaced again later; "
                    "leave NAME out, or tag the versions to put back and name the tag with --to"
                )


def _nothing(workspace: Workspace, name: str | None, to: str | None) -> str:
    of = "" if name is None else f" of {name}"
    if to is not None:
        known = sorted({number for number, _, folder in version_folders(workspace.root) if name in (None, folder.name)})
        hint = f"kept are {', '.join(map(str, known))}" if known else "none is kept"
        return f"there is no version or tag {to!r}{of} to roll back to; {hint}"
    return (
        f"nothing{of} to roll back: no switch is recorded in {workspace.root}; `embedrec refresh` keeps what it "
        "replaces, and `embedrec artifact tag` keeps what is current"
    )
