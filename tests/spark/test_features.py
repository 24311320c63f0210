"""Features of one shard; `test_preparation` has those of several."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from embedrec.data.event_log import EventLog, ReadState
from embedrec.spark.features import features_of_shard
from embedrec.spark.shards import Shard, write_shard
from embedrec.tabular.frame_table import FrameTable
from embedrec.tabular.read_settings import ReadSettings


def test_features_that_a_reader_has_read(tmp_path: Path) -> None:
    frame = pa.table({"session_id": [1, 1], "item_id": ["a", "b"]})
    prices = pa.table({"item_id": ["b", "a"], "price": [2.5, 1.5]})
    events = FrameTable(time="-").read(frame, ReadSettings(), item_features=prices)
    made = write_shard(EventLog(events), tmp_path, 0)
    shard = Shard(**{**made, "columns": tuple(made["columns"]), "state": ReadState()})
    features = features_of_shard(shard, tmp_path)
    assert list(features) == ["item_features"]
    assert features["item_features"].numeric["price"].tolist() == [2.5, 1.5]
