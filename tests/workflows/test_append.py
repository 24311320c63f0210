"""Appending files to sessions equals preparing all files at once, byte for byte."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from embedrec.data import Sessions
from embedrec.data.filters import Filters
from embedrec.data.joined import segments
from embedrec.data.regroup import AS_READ, Regroup
from embedrec.errors import ArtifactError, DataError, SettingsError
from embedrec.readers import BadRows
from embedrec.readers.mpd import Mpd
from embedrec.readers.session_tables import SessionTables
from embedrec.readers.table import Table
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.tabular.frame_table import FrameTable
from embedrec.tabular.read_settings import ReadSettings
from embedrec.workflows import append
from embedrec.workflows.append import append_frame, append_sessions, join_segments
from embedrec.workflows.prepare import prepare_frame, prepare_sessions
from tests.data.logs import Log, logs
from tests.data.strategies import given


@pytest.fixture(autouse=True)
def settings_of_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the disk, and segments are joined when they are read, not before."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(append, "_GROWTH", 0)


def table(folder: Path, content: str, name: str = "t.csv") -> list[Path]:
    path = folder / name
    path.write_text(content)
    return [path]


def prepare(paths: list[Path], folder: Path, filters: Filters | None = None, **given: Any) -> Artifact:
    return prepare_sessions("table", Table(), paths, folder, filters or Filters(), ReadSettings(), **given)


_FILTERS = st.builds(
    Filters,
    days=st.sampled_from([None, None, 15 / 86_400]),
    min_tracks=st.sampled_from([None, 2]),
    duplicates=st.sampled_from(["none", "consecutive", "all"]),
    duplicates_at=st.sampled_from(["start", "end"]),
    top=st.sampled_from([None, 4]),
    min_count=st.sampled_from([None, 2, 3]),
    min_length=st.sampled_from([1, 2]),
    max_length=st.sampled_from([None, 5]),
    long=st.sampled_from(["drop", "cut"]),
    rounds=st.sampled_from([None, 1]),
)
_REGROUP = st.builds(Regroup, st.sampled_from(["session", "user"]), st.sampled_from([None, None, "4s"]))


@given(logs(), _FILTERS, _REGROUP, st.integers(0, 3), examples=40)
def test_appended_files_equal_one_prepare_of_all(log: Log, filters: Filters, regroup: Regroup, reads: int) -> None:
    assume(regroup.by == "session" or "user" in log.columns)
    assume("time" in log.columns or (regroup.gap is None and filters.days is None))
    with TemporaryDirectory() as name:
        folder = Path(name)
        paths = log.write(folder)
        common: Any = (filters, ReadSettings())
        try:
            one = prepare_sessions("table", log.reader, paths, folder / "one", *common, regroup=regroup)
            parts = prepare_sessions("table", log.reader, paths[:1], folder / "parts", *common, regroup=regroup)
            for number, path in enumerate(paths[1:]):
                parts = append_sessions(parts, [path], folder / "parts", ReadSettings())
                if number < reads:
                    Sessions.load(parts)  # joins what is there; the next segment is added to that
        except (DataError, SettingsError):  # nothing passes the filters, or users are blank
            assume(False)
        assert Sessions.load(parts).to_arrow().equals(Sessions.load(one).to_arrow())
        whole = join_segments(parts)
    assert whole.files == one.files
    for key in ("read", "regrouped", "removed", "paths", "bad_rows", "sessions", "items", "events", "log"):
        assert whole.about[key] == one.about[key], key


def test_an_append_reads_neither_old_files_nor_old_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = prepare(table(tmp_path, "session,item\n1,a\n1,b\n2,a\n"), tmp_path / "s")
    new = table(tmp_path, "session,item\n2,c\n", "new.csv")
    (tmp_path / "t.csv").unlink()
    inode = (base.folder / "items.npy").stat().st_ino
    read = []
    monkeypatch.setattr(artifacts, "sha256", lambda path: read.append(path.name) or "0" * 64)
    done = append_sessions(base, new, base.folder, ReadSettings())
    assert set(read) == done.files.keys() - base.files.keys()
    assert (done.folder / "items.npy").stat().st_ino == inode
    assert done.about["log"]["segments"][0]["events"] == 1 and "events" not in done.about


def test_source_and_target_may_differ(tmp_path: Path) -> None:
    base = prepare(table(tmp_path, "session,item\n1,a\n1,b\n2,a\n"), tmp_path / "s")
    done = append_sessions(base, table(tmp_path, "session,item\n2,b\n"), tmp_path / "staged" / "s", ReadSettings())
    assert len(Sessions.load(base)) == 1 and len(Sessions.load(done)) == 2
    assert artifacts.read(base.folder).digest == base.digest


def test_many_or_large_segments_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = prepare(table(tmp_path, "session,item\n1,a\n1,b\n"), tmp_path / "s")
    monkeypatch.setattr(append, "MOST_SEGMENTS", 2)
    counts = []
    for number in range(4):
        base = append_sessions(base, table(tmp_path, f"session,item\n2,{number}\n"), base.folder, ReadSettings())
        counts.append(len(segments(base)))
    assert counts == [1, 2, 0, 1]
    monkeypatch.setattr(append, "_GROWTH", 4)
    large = append_sessions(base, table(tmp_path, "session,item\n3,a\n3,b\n"), base.folder, ReadSettings())
    assert segments(large) == [] and large.about["sessions"] == 3


def test_the_same_file_twice_changes_nothing(tmp_path: Path) -> None:
    paths = table(tmp_path, "session,item,time\n1,a,100000000\n1,b,100000001\n1,b,100000001\n")
    base = prepare(paths, tmp_path / "s")
    twice = join_segments(append_sessions(base, paths, base.folder, ReadSettings()))
    assert twice.files == base.files and twice.fingerprint == base.fingerprint


def test_old_events_age_out_for_good(tmp_path: Path) -> None:
    day = 86_400
    base = prepare(table(tmp_path, f"session,item,time\n1,a,{20_000 * day}\n1,b,{20_001 * day}\n"), tmp_path / "s")
    new = f"session,item,time\n2,a,{20_091 * day}\n2,c,{20_090 * day}\n1,b,{20_091 * day}\n"
    done = append_sessions(base, table(tmp_path, new), base.folder, ReadSettings(), keep_days=90)
    sessions = Sessions.load(done)
    assert sessions.times is not None and (sessions.times // 1000 // day).tolist() == [20_001, 20_091, 20_090, 20_091]
    assert join_segments(done).about["log"]["events"] == 4  # the log forgets them too
    without = prepare(table(tmp_path, "session,item\n1,a\n1,b\n"), tmp_path / "u")
    with pytest.raises(SettingsError, match="--keep-days needs the time of every event"):
        append_sessions(without, table(tmp_path, "session,item\n1,c\n"), without.folder, ReadSettings(), keep_days=1)


def test_later_times_must_be_of_the_same_unit(tmp_path: Path) -> None:
    base = prepare(table(tmp_path, "session,item,time\n1,a,100000000\n1,b,100000001\n"), tmp_path / "s")
    with pytest.raises(DataError, match="it is unclear whether these are seconds or milliseconds"):
        append_sessions(base, table(tmp_path, "session,item,time\n1,c,1700000000000\n"), base.folder, ReadSettings())
    with pytest.raises(DataError, match="the column 'time' is not in"):
        append_sessions(base, table(tmp_path, "session,item,ts\n1,c,100000000\n"), base.folder, ReadSettings())
    assert artifacts.read(base.folder).digest == base.digest


def test_bad_rows_are_treated_as_at_first(tmp_path: Path) -> None:
    good, bad = "session,item\n1,a\n1,b\n", "session,item\n1,c\n,c\n"
    base = prepare(table(tmp_path, good), tmp_path / "s")
    with pytest.raises(DataError, match="session is missing"):
        append_sessions(base, table(tmp_path, bad), base.folder, ReadSettings(BadRows("skip")))
    skipping = ReadSettings(BadRows("skip"))
    base = prepare_sessions("table", Table(), table(tmp_path, good + ",a\n"), tmp_path / "s", Filters(), skipping)
    done = append_sessions(base, table(tmp_path, bad), base.folder, ReadSettings())
    assert join_segments(done).about["bad_rows"] == {"session is missing": 2}


def test_other_sources_and_frames(tmp_path: Path) -> None:
    def slices(*playlists: tuple[int, str]) -> str:
        lists = [
            {"pid": p, "tracks": [{"artist_uri": a, "artist_name": a.upper()} for a in uris]} for p, uris in playlists
        ]
        return json.dumps({"playlists": lists})

    first, second = slices((1, "ab"), (2, "bc")), slices((2, "bc"), (3, "ad"))
    reading = ReadSettings()
    base = prepare_sessions("mpd", Mpd(), table(tmp_path, first, "a.json"), tmp_path / "m", Filters(), reading)
    done = join_segments(append_sessions(base, table(tmp_path, second, "b.json"), base.folder, ReadSettings()))
    third = table(tmp_path, slices((3, "ad")), "c.json")
    one = prepare_sessions("mpd", Mpd(), [tmp_path / "a.json", *third], tmp_path / "one", Filters(), ReadSettings())
    assert done.files == one.files

    frame = pd.DataFrame({"session": [1, 1, 2], "item": ["a", "b", "a"]})
    base = prepare_frame(frame, FrameTable(), tmp_path / "f", Filters(), ReadSettings())
    done = join_segments(append_frame(base, frame.assign(session=[2, 3, 3]), base.folder, ReadSettings()))
    both = pd.concat([frame, frame.assign(session=[2, 3, 3])])
    one = prepare_frame(both, FrameTable(), tmp_path / "one", Filters(), ReadSettings())
    assert done.files == one.files
    with pytest.raises(SettingsError, match="were made of a data frame"):
        append_sessions(base, third, base.folder, ReadSettings())
    with pytest.raises(SettingsError, match="were made of files"):
        append_frame(
            prepare(table(tmp_path, "session,item\n1,a\n1,b\n"), tmp_path / "s"), frame, base.folder, ReadSettings()
        )


def test_tables_of_features_are_read_again(tmp_path: Path) -> None:
    features = table(tmp_path, "item,price\na,1\nb,2\n", "items.csv")[0]
    reader = Table(item_features=str(features))
    rows = table(tmp_path, "session,item\n1,a\n1,b\n")
    base = prepare_sessions("table", reader, rows, tmp_path / "s", Filters(), ReadSettings())
    table(tmp_path, "item,price\na,1\nb,3\nc,4\n", "items.csv")
    new = table(tmp_path, "session,item\n1,c\n", "u.csv")  # files are read in the order of their names
    base = append_sessions(base, new, base.folder, ReadSettings())
    one = prepare_sessions("table", reader, [*rows, *new], tmp_path / "one", Filters(), ReadSettings())
    assert join_segments(base).files == one.files
    features.unlink()
    notes: list[str] = []

    def report(event: str, **given: Any) -> None:
        notes.extend([given["message"]] if event == "note" else [])

    base = append_sessions(artifacts.read(base.folder), new, base.folder, ReadSettings(report=report))
    assert notes == [f"{features} is gone, so no new item_features are read from it"]
    kept = Sessions.load(base).item_features
    assert kept is not None and kept.vocab.ids.tolist() == ["a", "b", "c"]


def test_sessions_that_cannot_grow_say_why(tmp_path: Path) -> None:
    paths = table(tmp_path, "session,item,time\n1,a,100000000\n1,b,100000001\n")
    test = table(tmp_path, "session,item,time\n2,a,200000000\n2,b,200000001\n", "test.csv")[0]
    held = prepare_sessions("sessions", SessionTables(), paths, tmp_path / "h", Filters(), ReadSettings(), test=test)
    saved = Sessions.of_lists([["a", "b"]])
    saved.save(tmp_path / "saved", {})
    for artifact, message in (
        (held, "sessions h have a held-out part, so events cannot be appended; append to the sessions that"),
        (artifacts.read(tmp_path / "saved"), "sessions saved were not made by `embedrec prepare`"),
    ):
        with pytest.raises(SettingsError, match=message):
            append_sessions(artifact, paths, artifact.folder, ReadSettings())


def test_sessions_of_older_versions_grow_if_they_hold_every_event(tmp_path: Path) -> None:
    def older(artifact: Artifact) -> Artifact:
        about = {name: value for name, value in artifact.about.items() if name != "log"}
        with artifacts.writing(artifact.folder, "sessions", about) as draft:
            for name in artifact.files:
                if not name.startswith("log_"):
                    draft.link(artifact, name)
        return artifacts.read(artifact.folder)

    rows = table(tmp_path, "session,item,time\n1,a,100000000\n1,b,100000001\n2,a,100000002\n2,b,100000003\n")
    new = table(tmp_path, "session,item,time\n1,c,100000004\n", "u.csv")
    done = append_sessions(older(prepare(rows, tmp_path / "s")), new, tmp_path / "s", ReadSettings())
    assert join_segments(done).files == prepare([*rows, *new], tmp_path / "one").files
    filtered = older(prepare(rows, tmp_path / "s", Filters(top=1, min_length=1)))
    message = "sessions s do not hold the events that filters removed, because an older version wrote them, so events "
    with pytest.raises(
        SettingsError, match=f"{message}cannot be appended; prepare once again: embedrec prepare table "
    ):
        append_sessions(filtered, new, tmp_path / "s", ReadSettings())


@pytest.mark.parametrize("moment", range(3))
def test_a_kill_leaves_the_old_sessions_or_the_new(tmp_path: Path, moment: int) -> None:
    base = prepare(table(tmp_path, "session,item\n1,a\n1,b\n2,a\n"), tmp_path / "s")
    new = table(tmp_path, "session,item\n2,b\n", "new.csv")
    process = os.fork()
    if not process:
        calls = iter(range(100))
        place = [(append, "write_log"), (artifacts, "describe_file"), (Path, "rename")][moment]
        call = getattr(*place)

        def kill(*given: Any, **named: Any) -> Any:
            if next(calls) == (3 if moment == 1 else 0):
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*given, **named)

        setattr(*place, kill)
        append_sessions(base, new, base.folder, ReadSettings())
        os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(process, 0)[1])
    assert len(Sessions.load(artifacts.read(base.folder))) == 1
    assert len(Sessions.load(append_sessions(artifacts.read(base.folder), new, base.folder, ReadSettings()))) == 2
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_two_appends_at_once_lose_nothing(tmp_path: Path) -> None:
    base = prepare(table(tmp_path, "session,item\n1,a\n1,b\n"), tmp_path / "s")
    new = table(tmp_path, "session,item\n2,b\n", "new.csv")
    append_sessions(base, new, base.folder, ReadSettings())
    with pytest.raises(ArtifactError, match="another process changed"):
        append_sessions(base, new, base.folder, ReadSettings())


def test_sessions_by_user_keep_the_whole_log(tmp_path: Path) -> None:
    rows = table(tmp_path, "user,session,item,time\nu,1,a,100000000\nv,2,b,100000001\nv,2,a,100000002\n")
    base = prepare(rows, tmp_path / "s", regroup=Regroup(by="user"))
    new = table(tmp_path, "user,session,item,time\nu,1,c,100000003\nu,3,b,100000002\n", "new.csv")
    sessions = Sessions.load(append_sessions(base, new, base.folder, ReadSettings()))
    assert [sessions.vocab.ids[sessions[s]].tolist() for s in range(2)] == [["a", "b", "c"], ["b", "a"]]
    assert AS_READ.by == "session"


def test_an_append_of_numbers_imports_no_pandas(tmp_path: Path) -> None:
    """pyarrow imports it in some conversions, which takes as long as the rest of a small append."""
    rows = table(tmp_path, "session,item,time\n1,1,100000000\n1,2,100000001\n2,1,100000002\n")
    prepare(rows, tmp_path / "s")
    new = pd.DataFrame({"session": [2, 3], "item": [2, 3], "time": [100000003, 100000004]})
    new.to_parquet(tmp_path / "new.parquet")
    code = (
        "import sys; from pathlib import Path; from embedrec.storage import artifacts; "
        "from embedrec.tabular.read_settings import ReadSettings; from embedrec.workflows import append; "
        "append._GROWTH = 0; folder = Path(sys.argv[1]); "
        "append.append_sessions(artifacts.read(folder / 's'), [folder / 'new.parquet'], folder / 's', ReadSettings()); "
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert len(Sessions.load(tmp_path / "s")) == 2
