"""Sessions artifacts to which events were appended: the new events lie beside the old files in segments.

The first read joins the segments with the log of the artifact, applies the filters again, and keeps the result inside
the artifact's folder, in `.derived`. It is the artifact that one `prepare` of all files writes. Whether it is there
makes no difference but time: the artifact's own files, manifest and fingerprint stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from embedrec.config import build
from embedrec.data.event_log import EventLog, ReadState
from embedrec.data.filters import Filters
from embedrec.data.log_files import read_base, read_log
from embedrec.data.merge_logs import age_out, merge_logs
from embedrec.data.prepared import Prepared, Rules, Sessionize, prepare_log
from embedrec.data.regroup import Regroup
from embedrec.errors import ArtifactError
from embedrec.storage import artifacts, atomic
from embedrec.storage.artifacts import Artifact, Draft
from embedrec.storage.memory_budget import MemoryBudget

_NAME = "sessions"  # of the joined artifact in `artifacts.DERIVED`


def segments(artifact: Artifact) -> list[dict[str, Any]]:
    """The manifest entries of the segments of an artifact, oldest first; none if nothing was appended since it was
    written or joined."""
    return list(artifact.about.get("log", {}).get("segments", []))


def kept_join(artifact: Artifact) -> Artifact | None:
    """The joined artifact that an earlier read has kept, None if there is none or the artifact has no segments."""
    folder = artifact.folder / artifacts.DERIVED / _NAME
    if not segments(artifact) or folder.parent.is_symlink():
        return None
    with suppress(ArtifactError):  # none, or damaged: it is made again
        kept = artifacts.read(folder, "sessions")
        if kept.about.get("joined") == artifact.digest:
            return kept
    return None


def forget_join(artifact: Artifact) -> None:
    """Remove the joined artifact that an earlier read has kept, as of a version that is no longer current."""
    derived = artifact.folder / artifacts.DERIVED
    with suppress(OSError):  # none, or it is being removed, or the folder is read-only: it only takes space
        atomic.remove_folder(derived / _NAME)
        derived.rmdir()


@contextmanager
def joined(artifact: Artifact, sessionize: Sessionize) -> Iterator[Artifact]:
    """The artifact that holds the sessions of an artifact, all segments joined: itself if there are none.

    The result of a join is kept; in a folder that cannot be written to it lasts for the block.

    Raises ArtifactError for damaged files; SettingsError and DataError if the filters cannot be applied any more.
    """
    if not segments(artifact):
        yield artifact
        return
    kept = kept_join(artifact)
    if kept is not None:
        yield kept
        return
    with _place(artifact) as folder:
        kept = kept_join(artifact)  # another process may have made it in the meantime
        yield kept or _write_join(artifact, folder, sessionize)


@contextmanager
def _place(artifact: Artifact) -> Iterator[Path]:
    """The folder to keep a join in, under the lock of the artifact; a temporary one if it is not writable."""
    derived = artifact.folder / artifacts.DERIVED
    with atomic.locked(artifact.folder) if artifact.folder.is_dir() else nullcontext():
        try:
            if derived.is_symlink():  # no reader makes one
                derived.unlink()
            derived.mkdir(exist_ok=True)
            artifacts.check_place(derived / _NAME)
        except (OSError, ArtifactError):
            with TemporaryDirectory() as folder:
                yield Path(folder) / _NAME
            return
        yield derived / _NAME


def _write_join(artifact: Artifact, folder: Path, sessionize: Sessionize) -> Artifact:
    with artifacts.writing(folder, "sessions", {}) as draft:
        write_joined(artifact, draft, sessionize)
        draft.about["joined"] = artifact.digest
    return artifacts.read(folder, "sessions")


def write_joined(artifact: Artifact, draft: Draft, sessionize: Sessionize) -> None:
    """Write what one `prepare` of the files of an artifact and of all segments writes."""
    started = perf_counter()
    with artifacts.opening(artifact, "prepare the data again"):
        log = [_join_logs(artifact, _memory(artifact, draft.folder))]
    entry = log_entry(artifact.about["log"], log[0])
    write_prepared(draft, prepare_log(log, rules_of(artifact), sessionize), _origin(artifact), entry, started)


def write_prepared(
    draft: Draft, made: Prepared, origin: Mapping[str, Any], log: dict[str, Any] | None, started: float
) -> None:
    """Write sessions and their log, and the manifest entries of `prepare`.

    origin  entries "source", "reader", "paths", "bad_rows" and "filters"
    log     the entry of the log, None for none
    started  when the work began, by `perf_counter`
    """
    sessions = made.sessions
    sessions.write(draft)
    if log is not None:
        made.write_log(draft)
    draft.about |= {
        **{name: origin[name] for name in ("source", "reader", "paths")},
        **{name: made.about[name] for name in ("read", "regrouped")},
        **{name: origin[name] for name in ("bad_rows", "filters")},
        "removed": made.about["removed"],
        "sessions": len(sessions),
        "items": len(sessions.vocab),
        "events": len(sessions.items),
        "seconds": round(perf_counter() - started, 3),
    }
    for name in ("item_features", "user_features"):
        features = getattr(sessions, name)
        if features is not None:
            draft.about[name] = features.about()
    if log is not None and made.log is not None:
        draft.about["log"] = log


def log_entry(given: Mapping[str, Any], log: EventLog) -> dict[str, Any]:
    """The manifest entry of a log without segments.

    given  "on_bad_row" and "memory", bytes or None, as the first `prepare` had them
    """
    kept = {name: given[name] for name in ("on_bad_row", "memory")}
    return {"events": len(log.events), "state": asdict(log.state), **kept}


def rules_of(artifact: Artifact) -> Rules:
    """The filters and the definition of a session of the first `prepare`."""
    about = artifact.about
    regroup = Regroup(about["regrouped"]["by"], about["regrouped"]["gap"])
    return Rules(build(Filters, about["filters"], source="the manifest"), regroup)


def _memory(artifact: Artifact, folder: Path) -> MemoryBudget:
    return MemoryBudget(artifact.about["log"]["memory"], folder.parent)


def base_log(artifact: Artifact, memory: MemoryBudget) -> EventLog:
    """The log of an artifact without its segments."""
    state, rules = _state(artifact.about["log"]["state"]), rules_of(artifact)
    if rules.regroup.by == "user":
        return read_log(artifact, "log_", state, memory)
    return read_base(artifact, state, regrouped=rules.regroup.gap is not None, memory=memory)


def _state(entry: Mapping[str, Any]) -> ReadState:
    return build(ReadState, entry, source="the manifest")


def _join_logs(artifact: Artifact, memory: MemoryBudget) -> EventLog:
    """The log of all events: segments are merged together up to each that ages events out."""
    logs = [base_log(artifact, memory)]
    for segment in segments(artifact):
        logs.append(read_log(artifact, segment["part"], _state(segment["state"]), memory))
        if segment["keep_days"] is not None:
            last = max(int(log.events.time.max()) for log in logs if log.events.time is not None)
            logs = [age_out(merge_logs(logs, memory), segment["keep_days"], last)]
    return merge_logs(logs, memory)


def _origin(artifact: Artifact) -> dict[str, Any]:
    """Manifest entries of the source of all events, see `write_prepared`."""
    about, new = artifact.about, segments(artifact)
    return {
        "source": about["source"],
        "reader": about["reader"],
        "paths": [*about["paths"], *(path for segment in new for path in segment["paths"])],
        "bad_rows": _sum([about["bad_rows"], *(segment["bad_rows"] for segment in new)]),
        "filters": about["filters"],
    }


def _sum(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in counts:
        for problem, count in one.items():
            total[problem] = total.get(problem, 0) + count
    return total
