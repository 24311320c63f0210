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
from embedrec.storage.memory_budget import budget_of
from embedrec.storage.workspace import Workspace
from embedrec.tabular.frame_table import FrameTable
from embedrec.tabular.frames import as_arguments
from embedrec.tabular.read_settings import ReadSettings
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
               `on_bad_row`, `memory`, `item_features`, `user_features`; of data frames these two are data frames

    Returns the sessions: S sessions of E events, see `PreparedSessions`. Bad rows that are skipped are Python warnings.

    Raises SettingsError for an unknown option or a wrong value, DataError for data that cannot be read.

    >>> import pandas as pd
    >>> visits = pd.DataFrame({"visit": [1, 1, 2, 2], "sku": ["bread", "jam", "jam", "bread"]})
    >>> prepare(visits, session="visit", item="sku")
    sessions table: 2 sessions, 2 items, 4 events
    """
    context = PipelineContext.of(workspace, threads, progress)
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
    for line in (*bad_rows.lines(), *bad_rows.notes):
        warnings.warn(as_arguments(line), UserWarning, stacklevel=2)
    return PreparedSessions(done, context)


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
    listed = isinstance(data, list | tuple) and all(isinstance(one, str | Path) for one in data) and data
    if not listed and not isinstance(data, str | Path):
        return _Input("frame", name="table", frame=True)
    return _Input(source or "table", tuple(data) if listed else (data,))


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
