"""Spotify's Music Streaming Sessions Dataset: logs in every compression, skip states, times, track features."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from embedrec.data.sessions import sessionize
from embedrec.readers import BadRows
from embedrec.readers.mssd import Mssd
from embedrec.tabular.read_settings import ReadSettings
from tests.readers.reading import SKIP, feature_values, refusal, rows, write

_COLUMNS = (
    "session_id,session_position,session_length,track_id_clean,skip_1,skip_2,skip_3,not_skipped,context_switch,"
    "hour_of_day,date,premium,hist_user_behavior_reason_start"
)
_ROWS = [  # positions are out of order in the file, and the session goes over midnight
    "0_a,2,3,t_y,false,true,true,false,0,0,2018-07-16,true,fwdbtn",
    "0_a,1,3,t_x,true,true,true,false,0,23,2018-07-15,true,trackdone",
    "0_a,3,3,t_x,false,false,false,false,0,0,2018-07-16,true,trackdone",
    "0_b,10,11,t_z,false,false,true,false,0,7,2018-07-15,false,fwdbtn",
    "0_b,11,11,t_y,false,false,false,true,0,7,2018-07-15,false,fwdbtn",
]
_LOG = "\n".join([_COLUMNS, *_ROWS]) + "\n"
_TRACKS = """\
track_id,duration,release_year,key,mode,time_signature,tempo,acoustic_vector_0
t_x,109.5,1950,1,major,4,120.5,-0.25
t_y,,1951,0,minor,3,,0.5
t_never,1,1,1,major,4,1,1
"""
_NO_LOG = (
    "{d}/log.csv is not a session log: it lacks the columns session_id, session_position, track_id_clean and skip_1 to "
    "not_skipped; its columns are "
)
_WANT = [
    ("0_a", "t_x", "skip_1"),
    ("0_a", "t_y", "skip_2"),
    ("0_a", "t_x", "none"),
    ("0_b", "t_z", "skip_3"),
    ("0_b", "t_y", "not_skipped"),
]


def read(path: Path, **settings: Any) -> Any:
    return Mssd(**settings).read([path], ReadSettings())


def pack(folder: Path, kind: str) -> Path:
    write(folder, {})
    folder.mkdir(exist_ok=True)
    files = {"training_set/log_0.csv": _LOG.encode(), "track_features/tf_0.csv": _TRACKS.encode()}
    if kind == "folder":
        return write(folder, files)  # type: ignore[arg-type]
    if kind == "gz":
        return write(folder, {f"{name}.gz": gzip.compress(content) for name, content in files.items()})
    if kind == "zip":
        with zipfile.ZipFile(folder / "mssd.zip", "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return folder / "mssd.zip"
    if kind == "parquet":
        for name, content in files.items():
            table = pa.csv.read_csv(io.BytesIO(content))
            pq.write_table(table, folder / f"{Path(name).stem}.parquet")
        return folder
    with tarfile.open(folder / f"mssd.{kind}", "w:gz" if kind == "tar.gz" else "w") as archive_:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive_.addfile(entry, io.BytesIO(content))
    return folder / f"mssd.{kind}"


@pytest.mark.parametrize("kind", ["folder", "gz", "zip", "tar", "tar.gz", "parquet"])
def test_every_compression_gives_the_same_events(tmp_path: Path, kind: str) -> None:
    events = read(pack(tmp_path / "d", kind))
    assert rows(events, "kind") == _WANT
    assert events.time is None and events.user is None
    assert feature_values(events.item_features) == {
        "t_x": {
            **{"duration": 109.5, "release_year": 1950, "tempo": 120.5, "acoustic_vector_0": -0.25},
            **{"key": "1", "mode": "major", "time_signature": "4"},
        },
        "t_y": {"release_year": 1951, "acoustic_vector_0": 0.5, "key": "0", "mode": "minor", "time_signature": "3"},
    }
    assert [*events.item_features.categorical] == ["key", "mode", "time_signature"]


def test_settings_select_skips_times_and_features(tmp_path: Path) -> None:
    write(tmp_path, {"logs/log.csv": _LOG, "t/other.csv": _TRACKS})
    binary = read(tmp_path / "logs", skips="binary", time="hour")
    midnight = 1_531_699_200_000  # 2018-07-16 00:00:00 UTC
    assert rows(binary, "kind", "time") == [
        ("0_a", "t_x", "skipped", midnight - 3_600_000),
        ("0_a", "t_y", "skipped", midnight),
        ("0_a", "t_x", "played", midnight),
        ("0_b", "t_z", "played", midnight - 17 * 3_600_000),
        ("0_b", "t_y", "played", midnight - 17 * 3_600_000),
    ]
    plain = read(tmp_path / "logs", skips="none", features=str(tmp_path / "t" / "other.csv"))
    assert plain.kind is None and len(feature_values(plain.item_features)) == 2


def test_numbered_skip_states_are_named(tmp_path: Path) -> None:
    table = {"user_id": [7, 7, 8], "pos": [1, 0, 0], "song_id": [5, 6, 5], "skipped": [0, 4, 1]}
    pq.write_table(pa.table(table), tmp_path / "s.parquet")
    assert rows(read(tmp_path), "kind") == [(7, 6, "none"), (7, 5, "skip_1"), (8, 5, "skip_2")]
    assert rows(read(tmp_path, skips="binary"), "kind") == [(7, 6, "played"), (7, 5, "skipped"), (8, 5, "skipped")]
    message = f"{tmp_path}/s.parquet contains no date and hour_of_day; leave out --time"
    assert refusal(Mssd(time="hour"), [tmp_path]) == message


@pytest.mark.parametrize(
    ("row", "settings", "message"),
    [
        ("0_c,1,1,,true,true,true,true,0,1,2018-07-15,true,x", {}, "row 6: track_id_clean is missing"),
        (
            "0_c,one,1,t,true,true,true,true,0,1,2018-07-15,true,x",
            {},
            "row 6: session_position must be a number, but is 'one'",
        ),
        ("0_c,1,1,t,true,maybe,true,true,0,1,2018-07-15,true,x", {}, "row 6: skip state is missing"),
        ("0_c,1,1,t,true,,true,true,0,1,2018-07-15,true,x", {}, "row 6: skip state is missing"),
        (
            "0_c,1,1,t,true,true,true,true,0,24,2018-07-15,true,x",
            {"time": "hour"},
            "row 6: date and hour_of_day is missing",
        ),
        (
            "0_c,1,1,t,true,true,true,true,0,1,15.7.2018,true,x",
            {"time": "hour"},
            "row 6: date and hour_of_day is missing",
        ),
        ("0_c,1,1", {}, "row 6: the row must have a value for every column, but has 3 where there are 13 columns"),
    ],
)
def test_bad_rows_are_located(tmp_path: Path, row: str, settings: dict, message: str) -> None:
    write(tmp_path, {"log.csv": _LOG + row + "\n"})
    assert refusal(Mssd(**settings), [tmp_path]) == f"{tmp_path}/log.csv, {message}{SKIP}"
    bad_rows = BadRows("skip")
    assert len(Mssd(**settings).read([tmp_path], ReadSettings(bad_rows))) == 5
    assert bad_rows.total == 1


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"log.csv": "a,b\n1,2\n"},
            _NO_LOG + "a, b",
        ),
        ({"tf_0.csv": _TRACKS}, "{d} contains track features but no session logs; name these too"),
        ({"log.csv": _LOG, "tf_0.csv": "a\n1\n"}, "the column 'track_id' is not in {d}/tf_0.csv; its columns are a"),
        (
            {"log.csv": _LOG, "tf_0.csv": "track_id,key,key\nt_x,1,2\n"},
            "the column 'key' occurs twice in {d}/tf_0.csv; its columns are track_id, key, key",
        ),
        (
            {"log.csv": _LOG, "tf_0.csv": _TRACKS + "t_x,1,1,1,major,4,1,1\n"},
            "{d}/tf_0.csv, row 4: track_id occurs twice, but is 't_x'" + SKIP,
        ),
        (
            {"log.csv": _LOG, "tf_0.csv": _TRACKS, "tf_1.csv": _TRACKS},
            "{d}/tf_1.csv, row 1: track_id occurs twice, but is 't_x'" + SKIP,
        ),
        (
            {"log.csv": _LOG, "tf_0.csv": _TRACKS.replace("109.5", "long")},
            "{d}/tf_0.csv, row 1: duration must be a number, but is 'long'" + SKIP,
        ),
        (
            {"log.csv": _LOG.replace("track_id_clean", "session_id")},
            _NO_LOG + _COLUMNS.replace("track_id_clean", "session_id").replace(",", ", "),
        ),
        (
            {"log.csv": _LOG.replace("session_length", "session_id")},
            "the column 'session_id' occurs twice in {d}/log.csv; its columns are "
            + _COLUMNS.replace("session_length", "session_id").replace(",", ", ")
            + ", skip state, date and hour_of_day",
        ),
        ({"log.csv": _COLUMNS + "\n"}, "no row of {d}/log.csv can be used; check the files and the filters"),
        (
            {"log.csv.gz": gzip.compress(_LOG.encode())[:-12]},
            "{d}/log.csv.gz is cut off or damaged (Compressed file ended before the end-of-stream marker was reached); "
            "get it again",
        ),
    ],
)
def test_invalid_files_are_refused(tmp_path: Path, files: dict, message: str) -> None:
    write(tmp_path, files)
    assert refusal(Mssd(), [tmp_path]) == message.replace("{d}", str(tmp_path))


def test_the_sample_has_known_sizes(data_folder: Path) -> None:
    """193,693 plays of 10,000 sessions of 10 to 20 tracks."""
    events = read(data_folder / "mssd")
    sessions = sessionize(events)
    assert (len(sessions), len(sessions.items), len(sessions.vocab)) == (10_000, 193_693, 5_792)
    assert sorted(sessions.kind_names.tolist()) == sorted(["skip_1", "skip_2", "skip_3", "not_skipped", "none"])
    table = pq.ParquetFile(data_folder / "mssd" / "ordered_10k_sessions.parquet").read()
    first = table.filter(pa.compute.equal(table["user_id"], 1)).sort_by("pos")
    assert (
        sessions.vocab.ids[sessions[int(np.flatnonzero(sessions.ids == 1)[0])]].tolist() == first["song_id"].to_pylist()
    )
