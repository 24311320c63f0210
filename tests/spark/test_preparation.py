"""Sessions that Spark prepares are those of one machine, byte by byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec import Sessions
from embedrec.data.filters import Filters
from embedrec.data.regroup import Regroup
from embedrec.errors import DataError, SettingsError
from embedrec.spark import prepare
from embedrec.spark.preparation import TaskSizes
from embedrec.tabular.read_settings import NoRowsError
from tests.spark.twins import SMALL, assert_same, prepare_both, write_clicks
from tests.storage.s3 import s3_server

pytestmark = pytest.mark.spark

USERS = {"user_id": lambda rng, n: [f"u{u}" for u in rng.integers(0, 6, n)]}
KINDS = {"kind": lambda rng, n: rng.choice(["view", "cart", "buy"], n), "rating": lambda rng, n: rng.random(n) * 5}


@pytest.mark.parametrize("sizes", [SMALL, TaskSizes()], ids=["many parts", "one part"])
def test_tables(spark: Any, tmp_path: Path, sizes: TaskSizes) -> None:
    paths = write_clicks(tmp_path / "given")
    local, other, notes, spark_notes = prepare_both(spark, tmp_path, "table", paths, sizes=sizes)
    assert_same(local, other)
    assert notes == spark_notes
    ours, theirs = Sessions.load(other), Sessions.load(local)
    assert ours.items.tolist() == theirs.items.tolist() and ours.ids.tolist() == theirs.ids.tolist()


@pytest.mark.parametrize(
    "filters",
    [
        Filters(min_count=3, min_length=3),
        Filters(min_count=4, min_length=4, max_length=9, long="cut", rounds=2),
        Filters(min_tracks=4, duplicates="all", top=12, max_length=8),
        Filters(duplicates="consecutive", duplicates_at="end", days=0.2),
        Filters(min_length=None),
    ],
    ids=["k-core", "cut", "top", "days", "none"],
)
def test_filters_and_their_reports(spark: Any, tmp_path: Path, filters: Filters) -> None:
    paths = write_clicks(tmp_path / "given", item_id=lambda rng, n: rng.geometric(0.1, n))
    local, other, _, _ = prepare_both(spark, tmp_path, "table", paths, filters=filters)
    assert_same(local, other)


def test_kinds_and_ratings(spark: Any, tmp_path: Path) -> None:
    paths = write_clicks(tmp_path / "given", **KINDS)
    filters = Filters(kinds=("cart", "buy"), min_rating=1.5)
    assert_same(*prepare_both(spark, tmp_path, "table", paths, filters=filters, kind="kind")[:2])


@pytest.mark.parametrize(
    "regroup", [Regroup(), Regroup(gap="30min"), Regroup("user"), Regroup("user", "20min")], ids=str
)
@pytest.mark.parametrize("keep_users", [True, False])
def test_sessions_of_several_users_are_split(spark: Any, tmp_path: Path, regroup: Regroup, keep_users: bool) -> None:
    paths = write_clicks(tmp_path / "given", **USERS)
    if regroup.by == "user" and not keep_users:
        with pytest.raises(SettingsError, match="sessions by user need the user of every event"):
            prepare_both(spark, tmp_path, "table", paths, regroup=regroup, keep_users=keep_users)
        return
    local, other, notes, spark_notes = prepare_both(
        spark, tmp_path, "table", paths, regroup=regroup, keep_users=keep_users
    )
    assert_same(local, other)
    assert notes == spark_notes and "have events of several users" in notes[0]


def test_gaps_without_users(spark: Any, tmp_path: Path) -> None:
    paths = write_clicks(tmp_path / "given")
    assert_same(*prepare_both(spark, tmp_path, "table", paths, regroup=Regroup(gap="5min"))[:2])


def test_files_at_urls(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    paths = write_clicks(tmp_path / "given")
    with s3_server({f"logs/{path.name}": path.read_bytes() for path in paths}) as options:
        local, other, _, _ = prepare_both(spark, tmp_path, "table", [f"s3a://logs/*.csv{options}"])
    assert_same(local, other)


def test_ids_of_split_sessions_stay_distinct(spark: Any, tmp_path: Path) -> None:
    """ "1-2" of the user 3 and "1" of the user "2-3" would both be "1-2-3"."""
    paths = write_clicks(
        tmp_path / "given",
        session_id=lambda rng, n: rng.choice(["1", "1-2"], n),
        user_id=lambda rng, n: rng.choice(["3", "2-3", "4"], n),
    )
    local, other, _, _ = prepare_both(spark, tmp_path, "table", paths)
    assert_same(local, other)
    assert "1-2--3" in Sessions.load(other).ids.tolist()


def test_users_that_are_blank_in_a_later_file_are_not_read(spark: Any, tmp_path: Path) -> None:
    paths = write_clicks(tmp_path / "given", **USERS)
    lines = paths[3].read_text().splitlines()
    session, _, item, time = lines[5].split(",")
    paths[3].write_text("\n".join([*lines[:5], f"{session},,{item},{time}", *lines[6:]]))
    local, other, _, _ = prepare_both(spark, tmp_path, "table", paths)
    assert_same(local, other)
    assert "users.parquet" not in other


def test_ids_become_texts_if_one_file_has_texts(spark: Any, tmp_path: Path) -> None:
    paths = write_clicks(tmp_path / "given", item_id=lambda rng, n: rng.geometric(0.1, n))
    paths[2].write_text(paths[2].read_text() + "7,x7,1700000000\n8,12.0,1700000000\n")
    local, other, _, _ = prepare_both(spark, tmp_path, "table", paths)
    assert_same(local, other)
    assert "12.0" not in Sessions.load(other).vocab.ids.tolist()


def test_times_finer_than_milliseconds(spark: Any, tmp_path: Path) -> None:
    """Only one file has them: the others are ordered among them."""
    paths = write_clicks(
        tmp_path / "given", timestamp=lambda rng, n: [f"2024-05-31 10:00:0{s}" for s in rng.integers(0, 3, n)]
    )
    lines = paths[1].read_text().splitlines()
    paths[1].write_text("\n".join([lines[0], *(f"{line}.000{n % 7}" for n, line in enumerate(lines[1:]))]) + "\n")
    assert_same(*prepare_both(spark, tmp_path, "table", paths)[:2])


def test_names_and_positions(spark: Any, tmp_path: Path) -> None:
    """The first name of an item that is not blank counts."""
    paths = write_clicks(
        tmp_path / "given",
        timestamp=None,
        pos=lambda rng, n: rng.integers(0, 50, n),
        item_name=lambda rng, n: rng.choice(["", "Jam", "Bread", "Tea"], n),
    )
    assert_same(*prepare_both(spark, tmp_path, "table", paths)[:2])


def test_without_times_the_order_of_rows_counts(spark: Any, tmp_path: Path) -> None:
    paths = write_clicks(tmp_path / "given", timestamp=None)
    assert_same(*prepare_both(spark, tmp_path, "table", paths)[:2])


def test_bad_rows_are_left_out_and_counted(spark: Any, tmp_path: Path) -> None:
    paths = write_clicks(tmp_path / "given")
    for number in (0, 2, 3):
        paths[number].write_text(paths[number].read_text() + "5,,1700000000\n5,i1,yesterday\n")
    paths[1].write_text("session_id,item_id,timestamp\n,i1,1700000000\n")  # no good row
    local, other, notes, spark_notes = prepare_both(spark, tmp_path, "table", paths, mode="skip")
    assert_same(local, other)
    assert notes == spark_notes and len(notes) == 3


def test_the_first_bad_row_is_an_error(spark: Any, tmp_path: Path) -> None:
    paths = write_clicks(tmp_path / "given")
    for number in (2, 3):
        paths[number].write_text(paths[number].read_text() + "5,,1700000000\n")
    with pytest.raises(DataError) as expected:
        prepare_both(None, tmp_path, "table", paths)
    from embedrec.readers import reader
    from embedrec.spark.preparation import Preparation
    from embedrec.tabular.read_settings import ReadSettings

    with pytest.raises(DataError) as given:
        Preparation(spark, Filters(), ReadSettings(), sizes=SMALL).files(
            "table", reader("table")(), paths, tmp_path / "x"
        )
    assert str(given.value) == str(expected.value)
    assert "clicks-2.csv, row 41: item_id is missing" in str(given.value)
    assert [path.name for path in tmp_path.iterdir()] == ["given"]


def test_features_of_tables(spark: Any, tmp_path: Path) -> None:
    paths = write_clicks(tmp_path / "given", **USERS)
    items, users = tmp_path / "items.csv", tmp_path / "users.csv"
    items.write_text("item_id,title,price\n" + "".join(f"i{n},Title {n},{n}.5\n" for n in (3, 1, 2, 99)))
    users.write_text("user_id,age\nu1,20\nu9,30\n")
    local, other, _, _ = prepare_both(
        spark, tmp_path, "table", paths, item_features=str(items), user_features=str(users)
    )
    assert_same(local, other)
    assert other.about["item_features"] == local.about["item_features"]
    assert Sessions.load(other).vocab.names is not None


def write_playlists(folder: Path, files: int = 4) -> list[Path]:
    rng = np.random.default_rng(1)
    folder.mkdir()
    paths = []
    for number in range(files):
        playlists = []
        for at in range(6):
            tracks = [
                {"artist_uri": f"spotify:artist:{a}", "artist_name": "" if a % 3 else f"Artist {a}", "pos": pos}
                for pos, a in enumerate(rng.geometric(0.2, rng.integers(0, 9)).tolist())
            ]
            playlists.append({"pid": 6 * number + at, "tracks": tracks})
        paths.append(folder / f"mpd.slice.{number}.json")
        paths[-1].write_text(json.dumps({"playlists": playlists}))
    return paths


def test_playlists(spark: Any, tmp_path: Path) -> None:
    paths = write_playlists(tmp_path / "given")
    filters = Filters(duplicates="all", duplicates_at="end", min_tracks=2)
    assert_same(*prepare_both(spark, tmp_path, "mpd", paths, filters=filters)[:2])


def test_playlists_that_are_repeated_in_a_later_file_are_left_out(spark: Any, tmp_path: Path) -> None:
    paths = write_playlists(tmp_path / "given")
    paths[3].write_text(paths[3].read_text().replace('"pid": 18', '"pid": 2').replace('"pid": 20', '"pid": 7'))
    local, other, notes, spark_notes = prepare_both(spark, tmp_path, "mpd", paths, mode="skip")
    assert_same(local, other)
    assert notes[0].startswith("2 rows left out: duplicate playlist id (first: ")
    assert spark_notes == ["2 rows left out: duplicate playlist id (first: the files, part 4 of 4)"]


def test_listening_sessions(spark: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    header = "session_id,session_position,track_id_clean,skip_1,skip_2,skip_3,not_skipped,date,hour_of_day"
    folder = tmp_path / "given"
    folder.mkdir()
    paths = []
    for number in range(3):
        lines = [header]
        for session in range(5):
            for place in range(1, int(rng.integers(2, 9))):
                flags = ",".join(rng.choice(["true", "false"], 4))
                lines.append(f"{number}_{session},{place},t_{rng.integers(0, 9)},{flags},2018-07-1{number},{place}")
        paths.append(folder / f"log_{number}.csv")
        paths[-1].write_text("\n".join(lines) + "\n")
    tracks = folder / "tf_0.csv"
    tracks.write_text("track_id,duration,mode\n" + "".join(f"t_{n},{n * 10},major\n" for n in range(12)))
    local, other, _, _ = prepare_both(spark, tmp_path, "mssd", [*paths, tracks], time="hour")
    assert_same(local, other)
    assert Sessions.load(other).item_features is not None


def test_a_reader_of_whole_data_sets_reads_in_one_task(spark: Any, tmp_path: Path) -> None:
    folder = tmp_path / "ml"
    folder.mkdir()
    rng = np.random.default_rng(5)
    lines = [f"{u}\t{i}\t{r}\t{t}" for u, i, r, t in rng.integers(1, 9, (80, 4)).tolist()]
    (folder / "u.data").write_text("\n".join(lines) + "\n")
    assert_same(*prepare_both(spark, tmp_path, "movielens", [folder])[:2])


def test_a_frame_of_spark(spark: Any, tmp_path: Path) -> None:
    """The rows of its partitions, in their order, are those of a frame of one machine."""
    rng = np.random.default_rng(4)
    rows = [
        (int(s), f"i{i}", 1_700_000_000_000 + int(t) * 1000)
        for s, i, t in zip(rng.integers(0, 9, 80), rng.geometric(0.2, 80), rng.integers(0, 50, 80), strict=True)
    ]
    frame = spark.createDataFrame(rows, "visit long, sku string, at long").repartition(3)
    ordered = [tuple(row) for part in frame.rdd.glom().collect() for row in part]
    result = prepare(spark, frame, tmp_path / "s", session="visit", item="sku", time="at", min_count=2)
    import pyarrow as pa

    columns = dict(zip(("visit", "sku", "at"), map(list, zip(*ordered, strict=True)), strict=True))
    expected = Sessions.from_frame(pa.table(columns), session="visit", item="sku", time="at", min_count=2)
    loaded = Sessions.load(tmp_path / "s")
    for name in ("offsets", "items", "ids", "times"):
        assert getattr(loaded, name).tolist() == getattr(expected, name).tolist(), name
    assert loaded.vocab.ids.tolist() == expected.vocab.ids.tolist()
    assert result.events.count() == len(expected.items)


def test_a_frame_without_rows(spark: Any, tmp_path: Path) -> None:
    frame = spark.createDataFrame([], "session_id long, item_id string")
    with pytest.raises(NoRowsError, match="the data frame has no rows"):
        prepare(spark, frame, tmp_path / "s", time="-")
    with pytest.raises(SettingsError, match=r"no option is called 'min_cuont'; did you mean 'min_count'"):
        prepare(spark, frame, tmp_path / "s", min_cuont=2)


def test_no_event_left(spark: Any, tmp_path: Path) -> None:
    paths = write_clicks(tmp_path / "given")
    with pytest.raises(DataError, match=r"the filter min_length = 1000 removed the last of 160 events"):
        prepare_both(spark, tmp_path, "table", paths, filters=Filters(min_length=1000))
