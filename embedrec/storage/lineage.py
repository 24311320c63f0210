"""Lineage: sessions → model → index. Which data an artifact comes from, and whether what it was made of has changed.

A line is all that comes from the same sessions, those that were split from them included. "The latest" is the newest
of a line, so that a second data set in the same workspace does not take the place of the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from embedrec.errors import ArtifactError, SettingsError
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace

Line = tuple[str, str]  # kind and name of the artifact that a line begins with
_ORIGIN = {"index": ("indexed", "model"), "model": ("trained_on", "sessions"), "sessions": ("of", "sessions")}
_CHANGED = {
    "index": "was trained again after index {name} was built of it; build the index again",
    "model": "were prepared again after model {name} was trained on them; train it again",
    "sessions": "were prepared again after sessions {name} were split from them; split them again",
}


def line_of(workspace: Workspace, artifact: Artifact) -> Line:
    """The line of an artifact. One whose origin is not known, such as imported vectors, begins a line of its own."""
    passed = {artifact.folder}
    while (origin := _sessions_of(artifact) or _origin(artifact)) is not None:
        kind, name = origin[0], origin[1]["name"]
        found = _there(workspace, kind, name)
        if found is None:
            return kind, name
        if found.folder in passed:
            break
        passed.add(found.folder)
        artifact = found
    return artifact.kind, artifact.name


def newest_of_line(workspace: Workspace, chosen: Artifact, among: Iterable[Artifact]) -> Artifact:
    """The newest artifact of the line of `chosen`, which is one of them."""
    line = line_of(workspace, chosen)
    return max((a for a in among if line_of(workspace, a) == line), key=_age)


def other_lines(workspace: Workspace, taken: Artifact, among: Iterable[Artifact]) -> list[Artifact]:
    """Of every other line than that of `taken`, the newest artifact; the newest first."""
    newest = {line_of(workspace, artifact): artifact for artifact in sorted(among, key=_age)}
    newest.pop(line_of(workspace, taken), None)
    return sorted(newest.values(), key=_age, reverse=True)


def outdated_by(workspace: Workspace, source: Artifact) -> list[Artifact]:
    """The artifacts that were made of an older version of `source`, which has just been written."""
    found = []
    for kind, (_, of) in _ORIGIN.items():
        if of == source.kind:
            read = (_there(workspace, kind, folder.name) for folder in workspace.folders(kind))
            found += [a for a in read if a is not None and a.folder != source.folder and _is_of_another(a, source)]
    return found


def stale(workspace: Workspace, artifact: Artifact) -> str | None:
    """Why an artifact is stale: what it was made of has changed since. None where it has not.

    What is no longer in the workspace, or cannot be read, makes nothing stale: an index serves without its model.
    """
    passed, current = {artifact.folder}, artifact
    while (origin := _origin(current)) is not None:
        found = _there(workspace, origin[0], origin[1]["name"])
        if found is None or found.folder in passed:
            return None
        if _is_of_another(current, found):
            then = "" if current is artifact else f", then {artifact.kind} {artifact.name}"
            return f"{found.kind} {found.name} {_CHANGED[current.kind].format(name=current.name)}{then}"
        passed.add(found.folder)
        current = found
    return None


def check_current(workspace: Workspace, taken: Iterable[Artifact]) -> None:
    """Raises SettingsError for the first artifact that is stale."""
    for artifact in taken:
        if (why := stale(workspace, artifact)) is not None:
            raise SettingsError(f"{artifact.kind} {artifact.name} is stale: {why}, or take it as it is with --stale-ok")


def _age(artifact: Artifact) -> tuple[str, str]:
    return artifact.created, artifact.name


def _origin(artifact: Artifact) -> tuple[str, dict[str, Any]] | None:
    """What an artifact was made of, as its manifest says: a kind, and what `provenance` gave."""
    key, kind = _ORIGIN.get(artifact.kind, ("", ""))
    return _named(kind, artifact.about.get(key))


def _sessions_of(artifact: Artifact) -> tuple[str, dict[str, Any]] | None:
    """Of an index, the sessions that its model was trained on: the model may be another one by now."""
    return _named("sessions", artifact.about.get("trained_on")) if artifact.kind == "index" else None


def _named(kind: str, said: Any) -> tuple[str, dict[str, Any]] | None:
    known = isinstance(said, dict) and isinstance(said.get("name"), str)
    return (kind, said) if known else None


def _there(workspace: Workspace, kind: str, name: str) -> Artifact | None:
    """The artifact of that name, as far as it can be read."""
    try:
        return artifacts.read(workspace.folder(kind, name), kind)
    except ArtifactError:
        return None


def _is_of_another(made: Artifact, source: Artifact) -> bool:
    """Whether an artifact was made of what had the name of `source`, but another content or other settings."""
    origin = _origin(made)
    if origin is None or origin[1]["name"] != source.name:
        return False
    other = origin[1].get("fingerprint", source.fingerprint) != source.fingerprint
    return other or made.about.get("model_settings", source.about.get("settings")) != source.about.get("settings")
