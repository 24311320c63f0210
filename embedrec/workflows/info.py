"""Describe the artifacts of a workspace: a list of all, the manifest of one, and statistics of sessions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from embedrec.data.joined import kept_join, segments
from embedrec.errors import ArtifactError
from embedrec.storage.artifacts import FOLDERS, Artifact, plain_name
from embedrec.storage.lineage import stale
from embedrec.storage.versions import version_of
from embedrec.storage.workspace import Workspace


@dataclass(frozen=True)
class ArtifactSummary:
    """One line on an artifact.

    created  UTC, to the second; "" if it cannot be read
    content  of its manifest, and why it is stale; "unreadable" if it cannot be read
    """

    kind: str
    name: str
    created: str
    content: str


def list_artifacts(workspace: Workspace) -> tuple[list[ArtifactSummary], list[str]]:
    """Summaries of all artifacts of a workspace by kind and age, unreadable ones last; and why those are unreadable."""
    readable = [
        ArtifactSummary(a.kind, a.name, a.created[:19], _content_and_state(workspace, a))
        for kind in FOLDERS
        for a in workspace.artifacts(kind)
    ]
    errors = [(kind, folder, why) for kind in FOLDERS for folder, why in workspace.unreadable(kind).items()]
    unreadable = [ArtifactSummary(kind, folder.name, "", "unreadable") for kind, folder, _ in errors]
    messages = [f"cannot read {folder.parent.name}/{folder.name}: {why}" for _, folder, why in errors]
    return readable + unreadable, messages


def artifacts_named(workspace: Workspace, name: str) -> list[Artifact]:
    """The artifacts of a name, at most one of each kind.

    Raises ArtifactError if there is none, or one is unreadable.
    """
    if plain_name(name.partition("@")[0]) and "@" in name:
        return _versions_named(workspace, name)
    for kind in FOLDERS:
        for folder, why in workspace.unreadable(kind).items():
            if folder.name == name:
                raise why
    named = [a for kind in FOLDERS for a in workspace.artifacts(kind) if a.name == name]
    if not named:
        raise no_artifact(workspace, name)
    return named


def _versions_named(workspace: Workspace, name: str) -> list[Artifact]:
    """The artifacts of NAME@LABEL. Raises ArtifactError if there is none."""
    named = []
    for kind in FOLDERS:
        try:
            named.append(workspace.find(kind, name))
        except ArtifactError as e:
            error = e
    if not named:
        raise error
    return named


def no_artifact(workspace: Workspace, name: str) -> ArtifactError:
    """The error for a name that no artifact has."""
    return ArtifactError(f"no artifact {name!r} in {workspace.root}; `embedrec info` lists them")


def describe_artifact(workspace: Workspace, artifact: Artifact) -> dict[str, Any]:
    """The whole manifest of an artifact, and why it is stale, as JSON values."""
    identity = {name: getattr(artifact, name) for name in ("kind", "name", "created", "fingerprint")}
    version = version_of(workspace.root, artifact)
    identity |= {} if version is None else {"version": version}
    why = stale(workspace, artifact)
    about = {**_counts(artifact), **artifact.about}
    return identity | ({} if why is None else {"stale": why}) | about | {"versions": artifact.versions}


def _counts(artifact: Artifact) -> dict[str, Any]:
    """What sessions to which events were appended hold, if they have been joined."""
    kept = kept_join(artifact) if artifact.kind == "sessions" else None
    return {} if kept is None else {name: kept.about[name] for name in ("sessions", "items", "events")}


def describe_sessions(artifact: Artifact) -> dict[str, Any]:
    """Statistics of sessions, see `data.statistics.Description`, and of their held-out part as "held_out", or None."""
    from embedrec.data.sessions import Sessions
    from embedrec.data.statistics import describe
    from embedrec.splitting.holdout import HeldOut, describe_held_out

    held_out = HeldOut.load(artifact)
    return {
        **asdict(describe(Sessions.load(artifact))),
        "held_out": None if held_out is None else asdict(describe_held_out(held_out)),
    }


def _content_and_state(workspace: Workspace, a: Artifact) -> str:
    why = stale(workspace, a)
    return _content(a) + ("" if why is None else f"; stale: {why}")


def _content(a: Artifact) -> str:
    """The content according to the manifest; an artifact saved through the API may have few fields."""
    about = a.about
    counts = [f"{about[key]:,} {key}" for key in ("sessions", "items", "events") if isinstance(about.get(key), int)]
    if a.kind == "sessions":
        return _content_of_sessions(a, counts)
    if a.kind == "model":
        last = about["epochs"][-1] if about.get("epochs") else {}
        loss = f"loss {last['loss']:.4f}" if "loss" in last else ""
        seconds = f"{about['seconds']:.1f} s" if "seconds" in about else ""
        return ", ".join(filter(None, [about.get("recipe"), *counts, loss, seconds]))
    measurements = about.get("facts", {})
    recall = ", ".join(f"{k} {v:.4f}" for k, v in measurements.items() if k.startswith("recall@"))
    speed = f"{measurements['query_ms_p50']:.2f} ms" if "query_ms_p50" in measurements else ""
    return ", ".join(filter(None, [about.get("spec"), *counts, about.get("metric"), recall, speed]))


def _content_of_sessions(a: Artifact, counts: list[str]) -> str:
    """The content of sessions; of those to which events were appended, what they hold once they are joined."""
    new = segments(a)
    if not new:
        return ", ".join(counts)
    kept = kept_join(a)
    if kept is not None:
        return _content(kept)
    total = sum(segment["events"] for segment in new)
    return f"{a.about['log']['events']:,} events and {total:,} more appended, to be filtered at the first use"
