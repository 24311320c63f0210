"""Numbers of ids over all shards: those of a dict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from embedrec.data.event_log import EventLog, ReadState
from embedrec.data.events import Events
from embedrec.spark.part_files import load_part
from embedrec.spark.shards import Shard, write_shard
from embedrec.spark.vocabularies import SHIFT, number_ids

pytestmark = pytest.mark.spark


def shards_of(folder: Path, lists: list[list[Any]], names: list[dict[Any, str]] | None = None) -> list[Shard]:
    shards = []
    for number, ids in enumerate(lists):
        events = Events.of(ids, ids, names=None if names is None else names[number])
        made = write_shard(EventLog(events), folder, number)
        shards.append(Shard(**{**made, "columns": tuple(made["columns"]), "state": ReadState()}))
    return shards


@pytest.mark.parametrize("ids_a_part", [2, 100])
@pytest.mark.parametrize("whole", [True, False])
def test_numbers(spark: Any, tmp_path: Path, ids_a_part: int, whole: bool) -> None:
    rng = np.random.default_rng(0)
    lists: list[list[Any]] = [rng.permutation(20)[:n].tolist() for n in (3, 12, 1, 9)]
    if not whole:
        lists[2] = ["ä"]
    shards = shards_of(tmp_path, lists)
    given = [[i if whole else str(i) for i in ids] for ids in lists]
    items = number_ids(spark, shards, "item", tmp_path, ids_a_part=ids_a_part)
    known = sorted({i for ids in given for i in ids})
    assert items.whole == whole and items.count == len(known)
    assert [load_part(tmp_path / name).tolist() for name in items.maps] == [
        [known.index(i) for i in ids] for ids in given
    ]
    assert [i for name in items.parts for i in pq.read_table(tmp_path / name)["id"].to_pylist()] == known
    sessions = number_ids(spark, shards, "session", tmp_path, ids_a_part=ids_a_part)
    first: dict[Any, int] = {}
    for shard, ids in enumerate(given):
        for row, i in enumerate(ids):
            first.setdefault(i, shard << SHIFT | row)
    assert [load_part(tmp_path / name).tolist() for name in sessions.maps] == [[first[i] for i in ids] for ids in given]
    assert sessions.repeats[0] == sum(map(len, given)) - len(first)
    assert all(first[i] >> SHIFT == earlier < later for i, later, earlier in sessions.repeats[1])


def test_the_first_name_that_is_not_blank_counts(spark: Any, tmp_path: Path) -> None:
    names = [{"a": "", "b": "B1"}, {"a": "A2", "b": "B2"}, {"a": "A3", "c": ""}]
    shards = shards_of(tmp_path, [["a", "b"], ["b", "a"], ["c", "a"]], names)
    items = number_ids(spark, shards, "item", tmp_path)
    table = pq.read_table(tmp_path / items.parts[0])
    assert table.to_pylist() == [{"id": "a", "name": "A2"}, {"id": "b", "name": "B1"}, {"id": "c", "name": ""}]
