"""`prepare` reads frames, files and data sets, into a workspace or a temporary folder."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from embedrec.data.sessions import Sessions
from embedrec.errors import DataError, SettingsError
from embedrec.pipeline.prepare import prepare
from tests.cli.conftest import Run, succeed
from tests.pipeline.conftest import COLUMNS, visits


def same(one: Sessions, other: Sessions) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("offsets", "items", "ids", "times")
    ) and (one.vocab.ids.tolist(), one.vocab.names.tolist()) == (other.vocab.ids.tolist(), other.vocab.names.tolist())


@pytest.mark.parametrize(
    "convert",
    [
        lambda df: df,
        pl.from_pandas,
        pa.Table.from_pandas,
        lambda df: pa.Table.from_pandas(df).to_reader(),
        lambda df: duckdb.sql("SELECT * FROM df"),
    ],
    ids=["pandas", "polars", "arrow", "reader", "duckdb"],
)
def test_a_frame_is_prepared_as_its_file(log: Path, convert: Callable[[pd.DataFrame], Any]) -> None:
    from_file = prepare(log, **COLUMNS)
    from_frame = prepare(convert(visits()), **COLUMNS)
    assert same(from_file.sessions, from_frame.sessions)
    columns = {key: value for key, value in COLUMNS.items() if key != "title"}
    assert same(from_frame.sessions, Sessions.from_frame(visits(), name="label", **columns))
    assert from_file.name == "visits" and from_frame.name == "table"
    assert from_frame.artifact.about["source"] == "frame" and from_frame.artifact.about["paths"] == []


def test_columns_are_guessed_and_options_equal_those_of_the_command_line(tmp_path: Path, run: Run) -> None:
    frame = pd.DataFrame({"session_id": [1, 1, 1, 2, 2, 3], "item_id": [5, 5, 6, 5, 6, 7]})
    frame.to_csv(tmp_path / "log.csv", index=False)
    options = ("--duplicates", "consecutive", "--min-count", 2)
    succeed(run, "prepare", "table", tmp_path / "log.csv", *options, "--workspace", tmp_path)
    prepared = prepare(frame, duplicates="consecutive", min_count=2)
    assert prepared.sessions.vocab.ids.tolist() == [5, 6] and len(prepared.sessions) == 2
    written = (tmp_path / "sessions" / "log" / "items.npy").read_bytes()
    assert prepared.artifact.path("items.npy").read_bytes() == written
    assert repr(prepared) == "sessions table: 2 sessions, 2 items, 4 events"
    assert "min_count = 2" in prepared._repr_html_() and "removed 1 sessions, 1 items" in prepared._repr_html_()


def test_readers_have_their_defaults_and_names(tmp_path: Path) -> None:
    toy = prepare("toy", workspace=tmp_path, name="small", min_tracks=20)
    assert toy.name == "small" and toy.artifact.about["filters"]["duplicates"] == "all"
    mpd = prepare(tmp_path / "toy", source="mpd", workspace=tmp_path, min_tracks=20)
    assert mpd.name == "mpd-artist" and same(Sessions.load(mpd.artifact), Sessions.load(toy.artifact))


def test_a_temporary_folder_is_deleted_with_its_last_step() -> None:
    prepared = prepare(visits(), **COLUMNS)
    folder = prepared.workspace.root
    assert folder.is_dir() and prepare(visits(), **COLUMNS).workspace.root != folder
    trained = prepared.train("popular")
    del prepared
    gc.collect()
    assert folder.is_dir()
    del trained
    gc.collect()
    assert not folder.exists()


def test_skipped_rows_are_warnings(log: Path) -> None:
    log.write_text(log.read_text() + "v1,,none,1700000000\n")
    with pytest.raises(DataError, match="use on_bad_row='skip' to leave such rows out"):
        prepare(log, **COLUMNS)
    with pytest.warns(UserWarning, match="1 row"):
        assert len(prepare(log, on_bad_row="skip", **COLUMNS).sessions) == 60


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_cuont": 2}, "prepare of a data frame has no argument 'min_cuont'; did you mean 'min_count'"),
        ({"source": "table"}, "source and test belong to files, but a data frame was given"),
        ({"threads": 0}, "threads must be at least 1, but is 0"),
        ({"duplicates": "some"}, "duplicates must be one of none, consecutive, all, but is 'some'"),
        ({"time_unit": "hours"}, "setting 'time_unit' in the arguments of prepare is 'hours'"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        prepare(visits(), **{**COLUMNS, **options})


def test_unreadable_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be of pandas, polars, pyarrow or DuckDB"):
        prepare([[1, 2], [3, 4]])
    with pytest.raises(DataError, match="no file or folder"):
        prepare(str(tmp_path / "none.csv"))
    with pytest.raises(SettingsError, match="no reader is called 'mdp'; did you mean 'mpd'"):
        prepare(tmp_path, source="mdp")
    with pytest.raises(DataError, match="has no column 'skus'"):
        prepare(visits(), item="skus")


def test_events_are_appended_from_frames_and_files(tmp_path: Path) -> None:
    frame = pd.DataFrame({"session": [1, 1, 2, 2], "item": ["a", "b", "a", "b"], "time": [10**8, 10**8 + 1] * 2})
    later = frame.assign(session=[3, 3, 2, 2], item=["a", "c", "a", "d"])
    prepare(frame, name="shop", workspace=tmp_path)
    done = prepare(later, append="shop", workspace=tmp_path)  # one event is there already
    expected = [["a", "b"], ["a", "b", "d"], ["a", "c"]]
    assert same_items(done.sessions, expected)
    assert repr(done) == "sessions shop: 3 sessions, 4 items, 7 events"
    frame.to_csv(tmp_path / "1.csv", index=False)
    later.to_csv(tmp_path / "2.csv", index=False)
    prepare(tmp_path / "1.csv", name="files", workspace=tmp_path)
    assert same_items(prepare([tmp_path / "2.csv"], append="files", workspace=tmp_path).sessions, expected)


def same_items(sessions: Sessions, expected: list[list[str]]) -> bool:
    return [sessions.vocab.ids[sessions[s]].tolist() for s in range(len(sessions))] == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"append": "shop", "min_count": 2, "name": "x"}, "append keeps the settings .* leave out min_count, name"),
        ({"keep_days": 3}, "keep_days needs append; days filters"),
    ],
)
def test_an_append_takes_no_other_settings(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        prepare(pd.DataFrame({"session": [1], "item": ["a"]}), **options)
