"""`embedrec.prepare`: sessions from a data frame, files or a known data set."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from embedrec.config import build
from embedrec.data.filters import Filters
from embedrec.data.regroup import Regroup
from embedrec.errors import SettingsError
from embedrec.pipeline.context import PipelineContext, split_options
from embedrec.pipeline.steps import PreparedSessions
from embedrec.readers import READERS, BadRows, reader
from embedrec.storage.artifacts import Artifact
from embedrec.storage.memory_budget import budget_of
from embedrec.storage.workspace import Workspace
from embedrec.tabular.frame_table import FrameTable
from embedrec.tabular.frames import as_arguments
from embedrec.tabular.read_settings import ReadSettings
from embedrec.workflows.append import append_frame, append_sessions, join_segments
from embedrec.workflows.prepare import default_name, prepare_frame, prepare_sessions

DATASETS = ("movielens-100k", "toy")


def prepare(
    data: Any,
    *,
    source: str | None = None,
    name: str | None = None,
    workspace: Workspace | str | Path | None = None,
    test: str | Path | None = None,
    threads: int | None = None,
    progress: bool | None = None,
    **options: Any,
) -> PreparedSessions:
    """Read, filter and write sessions, as `embedrec prepare` does.

    data       a data frame (pandas, polars, DuckDB, pyarrow; see `Sessions.from_frame`); a path or a list of paths; or
               the name of a data set: "movielens-100k", which is downloaded once, or "toy", generated playlists
    source     the reader of paths: "table" (the default), "mpd", "movielens" …, the commands of `embedrec prepare`
    name       of the sessions in the workspace; None uses that of the command line
    workspace  folder of the artifacts, shared with the command line; None uses a temporary folder, which is removed
               when no step refers to it any more
    test       file of the held-out part, for the readers that read one
    threads    of this step and the next ones; None uses all cores
    progress   whether this step and the next ones show progress; None shows it in notebooks and on a terminal
    options    what the options of `embedrec prepare SOURCE` are, with "_" for "-": columns (session, item, user, time,
               weight, order, title, kind), `by`, `gap`, filters (min_count, min_length, max_length, top, duplicates …),
               `on_bad_row`, `memory`, `item_features`, `user_features`; of data frames these two are data frames.
               `append` names sessions to add the events to, as they were prepared at first, and `keep_days` drops
               events more than so many days before the last one; of the others only `memory` and features may be given

    Returns the sessions: S sessions of E events, see `PreparedSessions`. Bad rows that are skipped are Python warnings.

    Raises SettingsError for an unknown option or a wrong value, DataError for data that cannot be read.

    >>> import pandas as pd
    >>> visits = pd.DataFrame({"visit": [1, 1, 2, 2], "sku": ["bread", "jam", "jam", "bread"]})
    >>> prepare(visits, session="visit", item="sku")
    sessions table: 2 sessions, 2 items, 4 events
    """
    context = PipelineContext.of(workspace, threads, progress)
    if "append" in options or "keep_days" in options:
        done, bad_rows = _append(data, context, options, {"source": source, "name": name, "test": test})
        _warn(bad_rows)
        return PreparedSessions(done, context)
    with context.running("prepare") as report:
        given = _input(data, source, context.workspace)
        if given.frame and not (source is None and test is None):
            raise SettingsError("source and test belong to files, but a data frame was given; leave them out")
        cls = FrameTable if given.frame else reader(given.source)
        parts = split_options(
            {**({} if given.frame else READERS[given.source].filters), **_column_names(cls, options)},
            {
                "reader": [f.name for f in fields(cls)],
                "features": ["item_features", "user_features"] if given.frame else [],
                "filters": [f.name for f in fields(Filters)],
                "regroup": [f.name for f in fields(Regroup)],
                "reading": ["on_bad_row", "memory"],
            },
            f"prepare of {'a data frame' if given.frame else given.source}",
        )
        filters, regroup = Filters(**parts["filters"]), Regroup(**parts["regroup"])
        settings: Any = build(cls, parts["reader"], source="the arguments of prepare")
        usual = given.name or default_name(given.source, settings, given.paths)
        folder = context.folder("sessions", name, usual)
        bad_rows = BadRows(parts["reading"].get("on_bad_row", "fail"))
        memory = budget_of(parts["reading"].get("memory"), folder.parent)
        reading = ReadSettings(bad_rows, context.threads, memory, report)
        if given.frame:
            done = prepare_frame(data, settings, folder, filters, reading, regroup=regroup, **parts["features"])
        else:
            done = prepare_sessions(
                given.source, settings, given.paths, folder, filters, reading, regroup=regroup, test=test
            )
    _warn(bad_rows)
    return PreparedSessions(done, context)


def _warn(bad_rows: BadRows) -> None:
    """Issue a Python warning, for the line that called `prepare`, for each kind of bad rows and each note."""
    for line in (*bad_rows.lines(), *bad_rows.notes):
        warnings.warn(as_arguments(line), UserWarning, stacklevel=3)


def _append(
    data: Any, context: PipelineContext, options: Mapping[str, Any], others: Mapping[str, Any]
) -> tuple[Artifact, BadRows]:
    """The sessions `options["append"]` with the events of a data frame or of files.

    others  arguments that an append does not take, None where they are not given
    """
    if options.get("append") is None:
        raise SettingsError("keep_days needs append; days filters the events of a new prepare")
    kept = [
        *(key for key in options if key not in _APPEND),
        *(key for key, value in others.items() if value is not None),
    ]
    if kept:
        raise SettingsError(f"append keeps the settings of the first prepare; leave out {', '.join(kept)}")
    with context.running("prepare") as report:
        artifact = context.workspace.find("sessions", options["append"])
        memory = budget_of(options.get("memory"), artifact.folder.parent)
        reading = ReadSettings(BadRows(), context.threads, memory, report)
        tables = {name: options[name] for name in ("item_features", "user_features") if options.get(name) is not None}
        keep_days = options.get("keep_days")
        if _is_paths(data):
            paths = list(data) if isinstance(data, list | tuple) else [data]
            done = append_sessions(artifact, paths, artifact.folder, reading, keep_days=keep_days, tables=tables)
        else:
            done = append_frame(artifact, data, artifact.folder, reading, keep_days=keep_days, **tables)
        return join_segments(done), reading.bad_rows


_APPEND = ("append", "keep_days", "memory", "item_features", "user_features")


def _is_paths(data: Any) -> bool:
    """Whether data are a path or a list of paths, not a data frame."""
    listed = isinstance(data, list | tuple) and all(isinstance(one, str | Path) for one in data) and bool(data)
    return listed or isinstance(data, str | Path)


@dataclass(frozen=True)
class _Input:
    """What is read: files of a reader, or a data frame; and a default name, "" for that of the reader."""

    source: str
    paths: tuple[str | Path, ...] = ()
    name: str = ""
    frame: bool = False


def _input(data: Any, source: str | None, workspace: Workspace) -> _Input:
    if isinstance(data, str) and data in DATASETS and source is None and not Path(data).exists():
        return _data_set(data, workspace)
    if not _is_paths(data):
        return _Input("frame", name="table", frame=True)
    return _Input(source or "table", tuple(data) if isinstance(data, list | tuple) else (data,))


def _data_set(name: str, workspace: Workspace) -> _Input:
    """The files of a known data set; they are downloaded or generated."""
    if name == "toy":
        from embedrec.datasets.synthetic import make_world, write_mpd

        write_mpd(make_world(), workspace.root / "toy")
        return _Input("mpd", (workspace.root / "toy",), "toy")
    from embedrec.datasets.movielens_100k import movielens_100k, user_cache

    return _Input("movielens", (movielens_100k(user_cache()),), "movielens-100k")


def _column_names(cls: type, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options with `title`, the option of the command line, as the setting `name` of tables."""
    title = any(f.name == "name" for f in fields(cls)) and "title" in options
    return {"name" if title and key == "title" else key: value for key, value in options.items()}
