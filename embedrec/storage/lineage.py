"""Lineage: sessions → model → index. Which data an artifact derives from, and whether its source has changed.

A line is everything that derives from the same sessions, including their splits. "The latest" is the newest of a
line, so that a second data set in the same workspace does not replace the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from embedrec.errors import ArtifactError, SettingsError
from embedrec.storage import artifacts
from embedrec.storage.artifacts import VERSIONS, Artifact
from embedrec.storage.workspace import Workspace

Line = tuple[str, str]  # kind and name of the first artifact of a line
_ORIGIN = {"index": ("indexed", "model"), "model": ("trained_on", "sessions"), "sessions": ("of", "sessions")}
_CHANGED = {
    "index": "was retrained after index {name} was built from it; rebuild the index",
    "model": "were prepared again after model {name} was trained on them; retrain it",
    "sessions": "were prepared again after sessions {name} were split from them; split them again",
}


def line_of(workspace: Workspace, artifact: Artifact) -> Line:
    """The line of an artifact. One without a known source, such as imported vectors, starts its own line."""
    visited = {artifact.folder}
    while (origin := _sessions_of(artifact) or _origin(artifact)) is not None:
        kind, name = origin[0], origin[1]["name"]
        source = _source(workspace, *origin)
        if source is None:
            return kind, name
        if source.folder in visited:
            break
        visited.add(source.folder)
        artifact = source
    return artifact.kind, artifact.name


def newest_of_line(workspace: Workspace, member: Artifact, among: Iterable[Artifact]) -> Artifact:
    """The newest artifact of the line of `member`, which is one of them."""
    line = line_of(workspace, member)
    return max((a for a in among if line_of(workspace, a) == line), key=_age)


def other_lines(workspace: Workspace, member: Artifact, among: Iterable[Artifact]) -> list[Artifact]:
    """The newest artifact of every line other than that of `member`; newest first."""
    newest = {line_of(workspace, artifact): artifact for artifact in sorted(among, key=_age)}
    newest.pop(line_of(workspace, member), None)
    return sorted(newest.values(), key=_age, reverse=True)


def outdated_by(workspace: Workspace, source: Artifact) -> list[Artifact]:
    """The artifacts that derive from an older version of `source`, or have it as a part."""
    outdated = []
    kinds = [kind for kind, (_, of) in _ORIGIN.items() if of == source.kind] + ["model"] * (source.kind == "model")
    for kind in kinds:
        read = (_readable(workspace, kind, folder.name) for folder in workspace.folders(kind))
        derived = [a for a in read if a is not None and a.folder != source.folder]
        outdated += [a for a in derived if _is_outdated(a, source) or _had_part(a, source)]
    return outdated


def stale(workspace: Workspace, artifact: Artifact) -> str | None:
    """Why an artifact is stale: its source has changed since. None if it is current, or an earlier version.

    A source that is missing or unreadable does not make an artifact stale: an index works without its model.
    """
    if artifact.folder.parents[1].parent.name == VERSIONS:
        return None
    visited, current = {artifact.folder}, artifact
    while (origin := _origin(current)) is not None:
        source = _source(workspace, *origin)
        if source is None or source.folder in visited:
            return None
        if _is_outdated(current, source):
            then = "" if current is artifact else f", then {artifact.kind} {artifact.name}"
            return f"{source.kind} {source.name} {_CHANGED[current.kind].format(name=current.name)}{then}"
        visited.add(source.folder)
        current = source
    return None


def check_current(workspace: Workspace, used: Iterable[Artifact]) -> None:
    """Raises SettingsError for the first artifact that is stale."""
    for artifact in used:
        if (why := stale(workspace, artifact)) is not None:
            raise SettingsError(f"{artifact.kind} {artifact.name} is stale: {why}, or use it anyway with --stale-ok")


def _age(artifact: Artifact) -> tuple[str, str]:
    return artifact.created, artifact.name


def _origin(artifact: Artifact) -> tuple[str, dict[str, Any]] | None:
    """The source of an artifact according to its manifest: its kind and its `provenance`."""
    key, kind = _ORIGIN.get(artifact.kind, ("", ""))
    return _named(kind, artifact.about.get(key))


def _sessions_of(artifact: Artifact) -> tuple[str, dict[str, Any]] | None:
    """The sessions that an index's model was trained on: the model of that name may have changed."""
    return _named("sessions", artifact.about.get("trained_on")) if artifact.kind == "index" else None


def _named(kind: str, provenance: Any) -> tuple[str, dict[str, Any]] | None:
    known = isinstance(provenance, dict) and isinstance(provenance.get("name"), str)
    return (kind, provenance) if known else None


def _readable(workspace: Workspace, kind: str, name: str) -> Artifact | None:
    """The artifact of that name; None if it is missing or unreadable."""
    try:
        return artifacts.read(workspace.folder(kind, name), kind)
    except ArtifactError:
        return None


def _source(workspace: Workspace, kind: str, provenance: dict[str, Any]) -> Artifact | None:
    """The artifact of the name of a source, or if there is none, the one that it was renamed to; None if it is gone."""
    named = _readable(workspace, kind, provenance["name"])
    if named is not None or not isinstance(provenance.get("fingerprint"), str):
        return named
    folders = (folder for folder in workspace.folders(kind) if folder.name != provenance["name"])
    others = (_readable(workspace, kind, folder.name) for folder in folders)
    return next((a for a in others if a is not None and a.fingerprint == provenance["fingerprint"]), None)


def _had_part(composite: Artifact, part: Artifact) -> bool:
    """Whether a composite model was trained with another content under the name of a model."""
    parts = composite.about.get("parts", {}).values() if composite.kind == part.kind == "model" else ()
    return any(entry["name"] == part.name and entry["fingerprint"] != part.fingerprint for entry in parts)


def _is_outdated(derived: Artifact, source: Artifact) -> bool:
    """Whether an artifact derives from another content, or other settings, under the name of `source`."""
    origin = _origin(derived)
    if origin is None or origin[1]["name"] != source.name:
        return False
    other = origin[1].get("fingerprint", source.fingerprint) != source.fingerprint
    return other or derived.about.get("model_settings", source.about.get("settings")) != source.about.get("settings")
