"""Shards: groups of files, and logs as they were before sessions were split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedrec.data.event_log import EventLog, ReadState
from embedrec.data.events import Events
from embedrec.errors import DataError
from embedrec.readers import reader
from embedrec.spark.part_files import load_part
from embedrec.spark.shards import Shard, before_split, check_alike, grouped, ids_of, names_of, write_shard
from embedrec.tabular.read_settings import ReadLog, ReadSettings
from embedrec.tabular.source_files import Source

STATE = ReadState(plan={"session": "s", "item": "i", "time": "t"})


def source(name: str, size: int) -> Source:
    return Source(Path(name), None, size, size)


def test_files_are_grouped_in_order() -> None:
    sources = [source(f"{n}", size) for n, size in enumerate([5, 4, 2, 9, 1, 1])]
    groups = grouped(sources, 9)
    assert [[s.path.name for s in group] for group in groups] == [["0", "1"], ["2"], ["3"], ["4", "5"]]
    assert grouped([], 9) == []


def test_a_log_before_its_sessions_were_split(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text(
        "session_id,user_id,item_id,timestamp\n"
        + "".join(
            f"{s},u{u},i{n},{1_700_000_000 + t}\n"
            for n, (s, u, t) in enumerate([(1, 1, 5), (2, 1, 1), (1, 2, 3), (1, 1, 1), (2, 1, 0)])
        )
    )
    log = ReadLog()
    events = reader("table")().read([table], ReadSettings(log=log))
    columns, ids = before_split(log.pop(events))
    assert ids.tolist() == ["1", "2"] or ids.tolist() == [1, 2]
    assert columns["session"].tolist() == [0, 0, 0, 1, 1]
    assert columns["item"].tolist() == [3, 2, 0, 4, 1]


def test_a_shard_on_disk(tmp_path: Path) -> None:
    events = Events.of(["a", "b", "a"], ["x", "y", "x"], time=[3, 2, 1], names={"x": "X"})
    shard = write_shard(EventLog(events), tmp_path, 4)
    folder = tmp_path / shard["folder"]
    assert shard["counts"] == {"event": 3, "session": 2, "item": 2}
    assert load_part(folder / "lengths.npy").tolist() == [2, 1]
    assert load_part(folder / "time.npy").tolist() == [1, 3, 2]
    assert ids_of(folder, "session", whole=False).to_pylist() == ["a", "b"]
    assert names_of(folder).to_pylist() == ["X", ""]
    plain = write_shard(EventLog(Events.of([1, 2], [7, 7])), tmp_path, 5)
    assert names_of(tmp_path / plain["folder"]) is None
    assert ids_of(tmp_path / plain["folder"], "item", whole=True).to_pylist() == [7]
    assert ids_of(tmp_path / plain["folder"], "item", whole=False).to_pylist() == ["7"]


def shard(*columns: str, **times: object) -> Shard:
    before = {"numeric": True, "compact": 0, "unclear": [], "low": 1.7e9, "high": 1.7e9, **times}
    return Shard("x", ("item", *columns), {}, {}, None, False, replace(STATE, times=before))


def test_shards_must_be_alike() -> None:
    check_alike([shard("time"), shard("time", "user", "finer")])
    with pytest.raises(
        DataError, match=r"some files have the columns item, time, and others item; prepare files of one"
    ):
        check_alike([shard("time"), shard()])
    with pytest.raises(DataError, match="the column 't' contains numbers in some files and dates in others"):
        check_alike([shard("time"), shard("time", numeric=False)])
    with pytest.raises(DataError, match="it is unclear whether these are seconds or milliseconds since 1970"):
        check_alike([shard("time"), shard("time", low=1.7e12, high=1.7e12)])
    assert np.isfinite(1.7e9)
