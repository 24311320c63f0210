"""`embedrec info` and `embedrec verify`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from embedrec.cli.shared.artifacts import find_sessions
from embedrec.cli.shared.options import (
    emit,
    json_option,
    log_option,
    note,
    threads_option,
    use_threads,
    workspace_option,
)
from embedrec.errors import ArtifactError
from embedrec.storage.artifacts import Artifact, read
from embedrec.storage.lineage import stale
from embedrec.storage.workspace import FOLDERS, Workspace

_BAR = 40  # characters of the longest bar of a histogram


@click.command(short_help="Describe the artifacts of the workspace.")
@click.argument("name", required=False)
@click.option("--sessions", is_flag=True, help="Print statistics of the sessions NAME [default: the latest].")
@json_option
@workspace_option
def info(name: str | None, sessions: bool, as_json: bool, workspace: Workspace) -> None:
    """List the artifacts of the workspace, or print the full metadata of the artifact NAME.

    Columns: kind, name, creation time (UTC), content.

    --sessions prints statistics of sessions: counts, lengths and time span; sparsity (the share of session-item pairs
    that do not occur); the share of repeated events within a session; the share of events of the most frequent items;
    and a histogram of lengths.
    """
    if sessions:
        _describe(find_sessions(workspace, name), as_json)
        return
    artifacts = [a for kind in FOLDERS for a in workspace.artifacts(kind)]
    unreadable = [(kind, f, why) for kind in FOLDERS for f, why in workspace.unreadable(kind).items()]
    if name is not None:
        chosen = [a for a in artifacts if a.name == name]
        for _, folder, why in unreadable:
            if folder.name == name:
                raise why
        if not chosen:
            raise ArtifactError(f"no artifact {name!r} in {workspace.root}; `embedrec info` lists them")
        emit(_facts(workspace, chosen, as_json), as_json)
    else:
        for _, folder, why in unreadable:
            note(f"cannot read {folder.parent.name}/{folder.name}: {why}")
        _note_leftovers(workspace)
        if not artifacts and not unreadable:
            note(
                f"no artifacts in {workspace.root}; create some with `embedrec prepare SOURCE PATH` or `embedrec demo`"
            )
        rows = [(a.kind, a.name, a.created[:19], _content_and_state(workspace, a)) for a in artifacts]
        rows += [(kind, folder.name, "", "unreadable") for kind, folder, _ in unreadable]
        emit((dict(zip(("kind", "name", "created", "holds"), row, strict=True)) for row in rows), as_json)


def _note_leftovers(workspace: Workspace) -> None:
    """Print temporary paths that a running command is writing or a killed one has left."""
    for path in workspace.left_over():
        note(
            f"{path} belongs to a running or a killed command, which a file system without locks cannot tell apart; "
            "remove it when no command is running"
        )


def _describe(artifact: Artifact, as_json: bool) -> None:
    """Statistics of sessions, and a histogram of their lengths."""
    from dataclasses import asdict

    import numpy as np

    from embedrec.data.sessions import Sessions
    from embedrec.data.statistics import describe
    from embedrec.splitting.holdout import HeldOut, describe_held_out

    statistics = asdict(describe(Sessions.load(artifact)))
    held_out = HeldOut.load(artifact)
    statistics["held_out"] = None if held_out is None else asdict(describe_held_out(held_out))
    if as_json:
        emit([{"name": artifact.name, **statistics}], as_json)
        return
    buckets = statistics.pop("histogram")
    for end in ("first", "last"):
        if statistics[end] is not None:
            statistics[end] = f"{np.datetime64(statistics[end], 'ms').astype('datetime64[s]')}Z"
    emit(({"fact": f, "value": v} for f, v in _cells(statistics) if v is not None), as_json)
    most = max(bucket["sessions"] for bucket in buckets)
    lengths = [(b["least"], b["most"], b["sessions"]) for b in buckets]
    emit(
        (
            {"length": str(a) if a == b else f"{a}-{b}", "sessions": count, "": _bar(count / most)}
            for a, b, count in lengths
        ),
        as_json,
    )


def _cells(statistics: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Statistics by name; those of a group are called GROUP.NAME."""
    for key, value in statistics.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{name}", inner) for name, inner in value.items())
        else:
            yield key, value


def _bar(share: float) -> str:
    """A bar of blocks whose length is the share of the longest bar; a positive share is always visible."""
    eighths = max(round(share * _BAR * 8), share > 0)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _facts(workspace: Workspace, artifacts: list[Artifact], as_json: bool) -> Iterator[dict[str, Any]]:
    for a in artifacts:
        whole: dict[str, Any] = {"kind": a.kind, "name": a.name, "created": a.created, "fingerprint": a.fingerprint}
        if (why := stale(workspace, a)) is not None:
            whole["stale"] = why
        if as_json:
            yield {**whole, **a.about, "versions": a.versions}
        else:
            facts = _flat({**whole, **a.about, "versions": a.versions})
            yield from ({"fact": key, "value": value} for key, value in facts)


def _flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(inner, f"{prefix}{key}.")
        elif isinstance(inner, list) and inner and isinstance(inner[0], dict):
            for i, one in enumerate(inner):
                yield from _flat(one, f"{prefix}{key}.{i}.")
        else:
            yield (
                prefix + key,
                ", ".join(map(str, inner if isinstance(inner, list) else [] if inner is None else [inner])),
            )


def _content_and_state(workspace: Workspace, a: Artifact) -> str:
    why = stale(workspace, a)
    return _content(a) + ("" if why is None else f"; stale: {why}")


def _content(a: Artifact) -> str:
    """The content according to the manifest; an artifact saved through the API may have few fields."""
    about = a.about
    counts = [f"{about[key]:,} {key}" for key in ("sessions", "items", "events") if isinstance(about.get(key), int)]
    if a.kind == "sessions":
        return ", ".join(counts)
    if a.kind == "model":
        last = about["epochs"][-1] if about.get("epochs") else {}
        loss = f"loss {last['loss']:.4f}" if "loss" in last else ""
        seconds = f"{about['seconds']:.1f} s" if "seconds" in about else ""
        return ", ".join(filter(None, [about.get("recipe"), *counts, loss, seconds]))
    facts = about.get("facts", {})
    recall = ", ".join(f"{k} {v:.4f}" for k, v in facts.items() if k.startswith("recall@"))
    speed = f"{facts['query_ms_p50']:.2f} ms" if "query_ms_p50" in facts else ""
    return ", ".join(filter(None, [about.get("spec"), *counts, about.get("metric"), recall, speed]))


@click.command(short_help="Verify checksums of all artifacts.")
@click.argument("name", required=False)
@click.option("--recall", is_flag=True, help="Also measure the recall of indexes again, on other items than before.")
@log_option
@threads_option
@json_option
@workspace_option
def verify(name: str | None, recall: bool, threads: int, as_json: bool, workspace: Workspace) -> None:
    """Verify the checksum of every file of every artifact (or of those named NAME), and open the artifacts.

    --recall measures indexes again and compares them with their target, or with the recall at build time.

    Exits with code 1 if an artifact is damaged or an index misses its target. Intact but stale artifacts, whose
    sources have changed since, are reported. Columns: kind, name, verdict.
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.workflows.verify import verify_artifact, verify_recall

    folders = [f for kind in FOLDERS for f in workspace.folders(kind) if name in (None, f.name)]
    if name is not None and not folders:
        raise ArtifactError(f"no artifact {name!r} in {workspace.root}; `embedrec info` lists them")
    _note_leftovers(workspace)
    if recall:
        use_threads(threads)
    verdicts: list[tuple[Any, str | None]] = []
    recalls: dict[Any, tuple[str, bool]] = {}
    with Progress("verify") as report:
        for number, folder in enumerate(folders, 1):
            verdicts.append((folder, verify_artifact(folder)))
            if recall and verdicts[-1][1] is None and folder.parent.name == FOLDERS["index"]:
                recalls[folder] = verify_recall(read(folder, "index"))
            report("progress", done=number, total=len(folders), unit="artifacts")
    rows = [(f, v or _current(workspace, f, recalls.get(f, ("ok", True))[0])) for f, v in verdicts]
    emit(({"kind": f.parent.name, "name": f.name, "verdict": v} for f, v in rows), as_json)
    damaged = sum(v is not None for _, v in verdicts)
    if damaged:
        raise ArtifactError(f"{damaged} of {len(verdicts)} artifacts are damaged; create them again")
    missed = sum(not met for _, met in recalls.values())
    if missed:
        raise ArtifactError(f"{missed} of {len(recalls)} indexes have lower recall than their target; build them again")


def _current(workspace: Workspace, folder: Path, verdict: str) -> str:
    """The verdict on an intact artifact, with the reason if it is stale."""
    why = stale(workspace, read(folder))
    return verdict if why is None else f"{verdict}, but stale: {why}"
