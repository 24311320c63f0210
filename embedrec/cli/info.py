"""`embedrec info` and `embedrec verify`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
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
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace

_BAR = 40  # characters of the longest bar of a histogram


@click.command(short_help="Describe the artifacts of the workspace.")
@click.argument("name", required=False)
@click.option("--sessions", is_flag=True, help="Print statistics of the sessions NAME [default: the latest].")
@click.option("--versions", is_flag=True, help="List the versions that are kept, of NAME or of all artifacts.")
@json_option
@workspace_option
def info(name: str | None, sessions: bool, versions: bool, as_json: bool, workspace: Workspace) -> None:
    """List the artifacts of the workspace, or print the full metadata of the artifact NAME.

    Columns: kind, name, creation time (UTC), content.

    --sessions prints statistics of sessions: counts, lengths and time span; sparsity (the share of session-item pairs
    that do not occur); the share of repeated events within a session; the share of events of the most frequent items;
    and a histogram of lengths.

    --versions lists versions, the newest first. Columns: version, kind, name, creation time (UTC), state (current or
    kept), tags, the command that put it in place, and the bytes that its removal frees. NAME@VERSION and NAME@TAG name
    a version in every command; `embedrec rollback` puts versions back, `embedrec gc` removes old ones.
    """
    from embedrec.workflows.info import artifacts_named, describe_artifact, list_artifacts

    if versions:
        if sessions:
            raise click.UsageError("--versions and --sessions are mutually exclusive; give one of them")
        _print_versions(workspace, name, as_json)
    elif sessions:
        _print_statistics(find_sessions(workspace, name), as_json)
    elif name is not None:
        manifests = [describe_artifact(workspace, artifact) for artifact in artifacts_named(workspace, name)]
        facts = ({"fact": key, "value": value} for manifest in manifests for key, value in _flat(manifest))
        emit(manifests if as_json else facts, as_json)
    else:
        summaries, messages = list_artifacts(workspace)
        for message in messages:
            note(message)
        _note_leftovers(workspace)
        if not summaries:
            note(
                f"no artifacts in {workspace.root}; create some with `embedrec prepare SOURCE PATH` or `embedrec demo`"
            )
        emit(({"kind": s.kind, "name": s.name, "created": s.created, "holds": s.content} for s in summaries), as_json)


def _print_versions(workspace: Workspace, name: str | None, as_json: bool) -> None:
    """Print the versions of artifacts, and what they take together."""
    from embedrec.workflows.versions import list_versions

    versions = list_versions(workspace, name)
    if not versions:
        note(f"no versions are kept in {workspace.root}; `embedrec refresh` and `embedrec artifact tag` keep some")
    emit((asdict(version) for version in versions), as_json)


def _note_leftovers(workspace: Workspace) -> None:
    """Print temporary paths that a running command is writing or a killed one has left."""
    for path in workspace.left_over():
        note(
            f"{path} belongs to a running or a killed command, which a file system without locks cannot tell apart; "
            "remove it when no command is running"
        )


def _print_statistics(artifact: Artifact, as_json: bool) -> None:
    """Print statistics of sessions, and a histogram of their lengths."""
    from embedrec.workflows.info import describe_sessions

    statistics = describe_sessions(artifact)
    if as_json:
        emit([{"name": artifact.name, **statistics}], as_json)
        return
    buckets = statistics.pop("histogram")
    for end in ("first", "last"):
        if statistics[end] is not None:
            statistics[end] = _utc(statistics[end])
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


def _utc(milliseconds: int) -> str:
    """A time in milliseconds since 1970 as ISO 8601, to the second; `datetime` ends at the year 9999."""
    import numpy as np

    return f"{np.datetime64(milliseconds, 'ms').astype('datetime64[s]')}Z"


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


@click.command(short_help="Verify checksums of all artifacts.")
@click.argument("name", required=False)
@click.option("--recall", is_flag=True, help="Also measure the recall of indexes again, on other items than before.")
@click.option(
    "--unused-parts",
    is_flag=True,
    help="List parts of fusion and ranker that no model uses, in place of verifying.",
)
@click.option("--remove", is_flag=True, help="Remove the unused parts; a training that needs one trains it again.")
@log_option
@threads_option
@json_option
@workspace_option
def verify(
    name: str | None,
    recall: bool,
    unused_parts: bool,
    remove: bool,
    threads: int,
    as_json: bool,
    workspace: Workspace,
) -> None:
    """Verify the checksum of every file of every artifact (or of those named NAME), and open the artifacts.

    --recall measures indexes again and compares them with their target, or with the recall at build time.

    Exits with code 1 if an artifact is damaged or an index misses its target. Intact but stale artifacts, whose
    sources have changed since, are reported. Columns: kind, name, verdict. Below a fusion or ranker stand its parts
    with their fingerprints.

    Parts are kept in models/parts so that the next fusion, ranker, compare or tune need not train them again.
    --unused-parts lists those that no model uses; columns: name, bytes. --remove frees the space.

    \b
    embedrec verify
    embedrec verify word2vec-ivf --recall
    embedrec verify --unused-parts --remove
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.workflows.verify import verify_workspace

    if unused_parts:
        if name is not None or recall:
            raise click.UsageError(f"--unused-parts cannot be combined with {'--recall' if recall else 'NAME'}")
        _list_unused_parts(workspace, remove, as_json)
        return
    if remove:
        raise click.UsageError("--remove needs --unused-parts")
    if recall:
        use_threads(threads)
    _note_leftovers(workspace)
    with Progress("verify") as report:
        result = verify_workspace(workspace, name, recall=recall, report=report)
    emit((asdict(verdict) for verdict in result.verdicts), as_json)
    result.check()


def _list_unused_parts(workspace: Workspace, remove: bool, as_json: bool) -> None:
    """Print the unused parts, and remove them if wanted."""
    from embedrec.workflows.unused_parts import remove_unused_parts, unused_parts

    parts = remove_unused_parts(workspace) if remove else unused_parts(workspace)
    total = sum(part.bytes for part in parts) / 1e6
    if not parts:
        note("every part is used by a model")
    elif remove:
        note(f"removed {len(parts)} parts, {total:,.1f} MB")
    else:
        note(f"{len(parts)} parts that no model uses, {total:,.1f} MB; --remove removes them")
    emit((asdict(part) for part in parts), as_json)
