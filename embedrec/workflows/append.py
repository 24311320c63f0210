"""`embedrec prepare … --append NAME`: add the events of new files to a sessions artifact."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from embedrec.config import build
from embedrec.data.event_log import EventLog, ReadState
from embedrec.data.events import Events
from embedrec.data.joined import kept_join, rules_of, segments, write_joined
from embedrec.data.log_files import one_user_a_session, write_log
from embedrec.data.sessions import sessionize
from embedrec.errors import DataError, SettingsError
from embedrec.readers import reader
from embedrec.splitting.holdout import has_held_out
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.storage.remote import input_path
from embedrec.tabular.frame_table import FrameTable
from embedrec.tabular.read_settings import ReadLog, ReadSettings

FRAME = "frame"  # the source of sessions that were made of a data frame
MOST_SEGMENTS = 32  # more are joined
_GROWTH = 4  # segments are joined once the events of the artifact are fewer than this many times theirs
TABLES = ("item_features", "user_features", "features", "tags", "titles")  # settings of readers that name files
_COUNTS = ("read", "removed", "sessions", "items", "events", "seconds", "joined", "item_features", "user_features")


def append_sessions(
    source: Artifact,
    paths: Sequence[str | Path],
    folder: Path,
    settings: ReadSettings,
    *,
    keep_days: float | None = None,
    tables: Mapping[str, str] | None = None,
) -> Artifact:
    """Read new files as the first `prepare` read its own, and write the sessions artifact `folder` with the events of
    both. The old files are not read, and the old events neither: they are hard links, which all versions share.

    source     the sessions to extend; `folder` may be theirs
    settings   how files are read; bad rows are treated as by the first `prepare`, whatever their mode here
    keep_days  drop events more than so many days before the last one, for good
    tables     settings of the reader that name files (`TABLES`) → the file to read in place of the first one

    `Sessions.load` of the result equals that of one `prepare` of all files, see `data.joined`. An event that the
    artifact holds already, with the same session, item and time, is dropped.

    Raises DataError for bad rows and files that cannot be read; SettingsError if `source` cannot be extended.
    """
    check_appendable(source)
    if source.about["source"] == FRAME:
        raise SettingsError(f"sessions {source.name} were made of a data frame; append a data frame, or prepare files")
    given = {**source.about["reader"], **(tables or {})}
    for name in TABLES:
        if given.get(name) and name not in (tables or {}) and not input_path(given[name]).exists():
            settings.report("note", message=f"{given[name]} is gone, so no new {name} are read from it")
            given[name] = ""
    read: Any = build(reader(source.about["source"]), given, source="the manifest")
    named = [str(path) for path in paths]
    return _append(source, lambda reading: read.read(paths, reading), named, folder, settings, keep_days)


def append_frame(
    source: Artifact,
    frame: Any,
    folder: Path,
    settings: ReadSettings,
    *,
    keep_days: float | None = None,
    item_features: Any = None,
    user_features: Any = None,
) -> Artifact:
    """The same for the rows of a data frame, if `source` was made of one."""
    check_appendable(source)
    if source.about["source"] != FRAME:
        raise SettingsError(f"sessions {source.name} were made of files, not of a data frame; append files")
    table = build(FrameTable, source.about["reader"], source="the manifest")

    def read(reading: ReadSettings) -> Events:
        return table.read(frame, reading, item_features=item_features, user_features=user_features)

    return _append(source, read, [], folder, settings, keep_days)


def check_appendable(source: Artifact) -> None:
    """Raises SettingsError if no events can be appended to these sessions, with what to do."""
    about = source.about
    if not about.get("source") or has_held_out(source):
        made = "have a held-out part" if has_held_out(source) else "were not made by `embedrec prepare`"
        raise SettingsError(
            f"sessions {source.name} {made}, so events cannot be appended; append to the sessions that "
            "`embedrec prepare` made of the files, and split them again"
        )
    if log_about(source) is None:
        writer = "Spark" if about.get("engine") == "spark" else "an older version"
        raise SettingsError(
            f"sessions {source.name} do not hold the events that filters removed, because {writer} wrote them, "
            f"so events cannot be appended; prepare once again: embedrec prepare {about['source']} "
            f"{' '.join(map(str, about.get('paths', [])))} --name {source.name}"
        )


def log_about(source: Artifact) -> dict[str, Any] | None:
    """The manifest entry of the log of sessions; None if they do not hold all events that were read.

    Sessions of older versions have no such entry; they hold all events if no filter has removed one. Those of Spark do
    not tell how events were read.
    """
    about = source.about
    if about.get("engine") == "spark":
        return None
    given: dict[str, Any] | None = about.get("log")
    if given is not None or about.get("regrouped", {}).get("by") != "session" or about["regrouped"].get("gap"):
        return given
    if any(step["events"] for step in about.get("removed", [{"events": 1}])):
        return None
    state = ReadState(whole=about["source"] == "mpd")
    return {"events": about["events"], "state": asdict(state), "on_bad_row": "fail", "memory": None}


def _append(
    source: Artifact,
    read: Callable[[ReadSettings], Events],
    paths: list[str],
    folder: Path,
    settings: ReadSettings,
    keep_days: float | None,
) -> Artifact:
    started = perf_counter()
    artifacts.check_place(folder)
    base = _base(source, keep_days)
    before = segments(base)
    known = log_about(base) or {}
    state = build(ReadState, (before[-1] if before else known)["state"], source="the manifest")
    settings.bad_rows.mode = known["on_bad_row"]
    reading = replace(settings, log=ReadLog(state))
    with settings.memory.returning():
        log = _read(reading, read)
        if keep_days is not None and log.events.time is None:
            raise SettingsError("--keep-days needs the time of every event, but the data has none; leave it out")
        rules_of(base).regroup.apply(log.as_read())  # what would fail later fails now
        part = f"log{len(before) + 1}_"
        segment = {
            "part": part,
            "events": len(log.events),
            "sessions": len(log.events.sessions),
            "paths": paths,
            "bad_rows": settings.bad_rows.counts,
            "state": asdict(log.state),
            "keep_days": keep_days,
            "seconds": round(perf_counter() - started, 3),
        }
        about = {name: value for name, value in base.about.items() if name not in _COUNTS}
        about["log"] = {**known, "segments": [*before, segment]}
        with artifacts.writing(folder, "sessions", about, made_from=source) as draft:
            for name in base.files:
                draft.link(base, name)
            write_log(draft, log, part)
        appended = artifacts.read(folder, "sessions")
    return join_segments(appended) if _is_due(appended) else appended


def _base(source: Artifact, keep_days: float | None) -> Artifact:
    """What a segment is added to: the sessions with their segments, so that all versions share the files of the first.

    Where events age out, the join of the segments that there are: each drops other events for good, in turn.
    """
    if keep_days is None and not any(segment["keep_days"] for segment in segments(source)):
        return source
    return kept_join(source) or source


def _is_due(appended: Artifact) -> bool:
    """Whether segments are so many, or so large, that joining them costs little for each of their events."""
    new = segments(appended)
    return len(new) > MOST_SEGMENTS or _GROWTH * sum(s["events"] for s in new) > appended.about["log"]["events"]


def join_segments(artifact: Artifact) -> Artifact:
    """The same sessions without segments: the artifact that one `prepare` of all files writes, in the same place."""
    kept = kept_join(artifact)
    if not segments(artifact):
        return artifact
    with artifacts.writing(artifact.folder, "sessions", {}, made_from=artifact) as draft:
        if kept is None:
            write_joined(artifact, draft, sessionize)
        else:
            for name in kept.files:
                draft.link(kept, name)
            draft.about |= {name: value for name, value in kept.about.items() if name != "joined"}
    return artifacts.read(artifact.folder, "sessions")


def _read(reading: ReadSettings, read: Callable[[ReadSettings], Events]) -> EventLog:
    events = read(reading)
    log = EventLog(events) if reading.log is None else reading.log.pop(events)
    if not one_user_a_session(log.events):
        raise DataError("a session has events of several users, which cannot be appended; prepare all files together")
    return log
