"""`embedrec prepare`: read files or a data frame, regroup, filter and sessionise events, write the sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from embedrec.config import settings_of
from embedrec.data.event_log import EventLog
from embedrec.data.events import Events
from embedrec.data.filters import Filters
from embedrec.data.joined import log_entry, write_prepared
from embedrec.data.prepared import Rules, prepare_log
from embedrec.data.regroup import AS_READ, Regroup
from embedrec.data.sessions import Sessions, sessionize
from embedrec.errors import DataError, SettingsError
from embedrec.readers import READERS
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.leakage import check_leaks
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact, plain_from
from embedrec.storage.remote import input_path
from embedrec.tabular.decompress import without_packing
from embedrec.tabular.frame_table import FrameTable
from embedrec.tabular.read_settings import ReadLog, ReadSettings

if TYPE_CHECKING:
    from embedrec.spark.session import SparkSettings


def default_name(source: str, reader: Any, paths: Sequence[str | Path]) -> str:
    """The name of the sessions of a reader and its files, see `ReaderEntry.naming`."""
    naming = READERS[source].naming
    if naming == "level":
        return f"{source}-{reader.level}"
    name = without_packing(input_path(paths[0]).name)
    stem = plain_from(Path(name[: -len(".tar")] if name.lower().endswith(".tar") else name).stem)
    return stem or source if naming == "file" else source


def prepare_sessions(
    source: str,
    reader: Any,
    paths: Sequence[str | Path],
    folder: Path,
    filters: Filters,
    settings: ReadSettings,
    *,
    regroup: Regroup = AS_READ,
    test: str | Path | None = None,
) -> Artifact:
    """Read files, regroup, filter, sessionise, and write the sessions artifact `folder`.

    source    name of the reader in READERS
    settings  how files are read; its memory budget covers all steps
    regroup   definition of a session
    test      file of the held-out part, for readers that have `read_test`; it is neither regrouped nor filtered

    Raises DataError if no held-out item is in the training part, and for a leak; SettingsError for a held-out part
    together with regrouped sessions.
    """
    artifacts.check_place(folder)
    if test is not None and regroup != AS_READ:
        raise SettingsError(
            "--by and --gap regroup only the training part, not the held-out part of --test; leave them out, or "
            "prepare all sessions and split them with `embedrec split`"
        )

    def read(settings: ReadSettings) -> tuple[Events, HeldOut | None]:
        held_out = None if test is None else reader.read_test(test, settings)
        return reader.read(paths, settings), held_out

    about = {"source": source, "reader": settings_of(reader), "paths": [str(p) for p in paths]}
    return _write_sessions(read, about, folder, filters, settings, regroup, test)


def prepare_on_spark(
    spark: SparkSettings,
    rules: Rules,
    source: str,
    reader: Any,
    paths: Sequence[str | Path],
    folder: Path,
    settings: ReadSettings,
) -> Artifact:
    """The same on Spark, with the same files, but for those of the log: nothing can be appended to the sessions.

    Raises as `prepare_sessions` and `spark_session` do.
    """
    from embedrec.spark.preparation import Preparation
    from embedrec.spark.session import spark_session

    artifacts.check_place(folder)
    with spark_session(spark) as session:
        preparation = Preparation(session, rules.filters, settings, rules.regroup)
        return preparation.files(source, reader, paths, folder, sharded=READERS[source].sharded)


def prepare_frame(
    frame: Any,
    table: FrameTable,
    folder: Path,
    filters: Filters,
    settings: ReadSettings,
    *,
    regroup: Regroup = AS_READ,
    item_features: Any = None,
    user_features: Any = None,
) -> Artifact:
    """Read a data frame, regroup, filter, sessionise, and write the sessions artifact `folder`; see `FrameTable.read`.

    The files are those that `prepare_sessions` writes for the same rows in a file; the manifest names no file.
    """
    artifacts.check_place(folder)

    def read(settings: ReadSettings) -> tuple[Events, None]:
        return table.read(frame, settings, item_features=item_features, user_features=user_features), None

    about = {"source": "frame", "reader": settings_of(table), "paths": []}
    return _write_sessions(read, about, folder, filters, settings, regroup)


def _write_sessions(
    read_events: Callable[[ReadSettings], tuple[Events, HeldOut | None]],
    source: dict[str, Any],
    folder: Path,
    filters: Filters,
    settings: ReadSettings,
    regroup: Regroup,
    test: str | Path | None = None,
) -> Artifact:
    """Regroup, filter and sessionise the events that `read_events` returns, and write the sessions artifact `folder`.

    read_events  returns the events, and the held-out part or None; an artifact with one has no log
    source       manifest entries of the source
    test         the file of the held-out part
    """
    started = perf_counter()
    reading = replace(settings, log=ReadLog() if test is None else None)
    with settings.memory.returning():
        events, held_out = read_events(reading)
        log = [EventLog(events) if reading.log is None else reading.log.pop(events)]
        del events
        entry = log_entry({"on_bad_row": settings.bad_rows.mode, "memory": settings.memory.budget}, log[0])
        made = prepare_log(log, Rules(filters, regroup), sessionize)
        if held_out is not None:
            sessions, held_out = held_out.align(made.sessions)
            made = replace(made, sessions=sessions)
        origin = {**source, "bad_rows": settings.bad_rows.counts, "filters": settings_of(filters)}
        about = {} if held_out is None else _describe_test(held_out, made.sessions, test)
        with artifacts.writing(folder, "sessions", {}) as draft:
            write_prepared(draft, made, origin, None if reading.log is None else entry, started)
            draft.about |= about
            if held_out is not None:
                held_out.write(draft)
    return artifacts.read(folder, "sessions")


def _describe_test(test: HeldOut, train: Sessions, path: str | Path | None) -> dict[str, Any]:
    """Manifest entries of a held-out part."""
    if not (train.vocab.rows_of(test.sessions.vocab.ids) >= 0).any():
        raise DataError(
            f"no item of {path} (first: {test.sessions.vocab.id(0)!r}) is in the training part (first: "
            f"{train.vocab.id(0)!r}); check that both files use the same ids, and loosen the filters"
        )
    return {
        "split": {"rule": "given", "test": str(path), "checked": check_leaks(train, test)},
        "test_sessions": len(test),
        "test_events": len(test.sessions.items),
        "questions": int(np.maximum(test.sessions.lengths - np.maximum(test.given, 1), 0).sum()),
    }
