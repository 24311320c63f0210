"""Features of items and users beside sessions that Spark prepares: their tables are read in the driver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.data.events import Events
from embedrec.data.feature_parquet import load_features
from embedrec.data.parquet_io import from_arrow
from embedrec.data.vocab import Vocab
from embedrec.spark.part_files import save_columns
from embedrec.spark.shards import Shard, ids_of
from embedrec.spark.tasks import fresh_name
from embedrec.spark.vocabularies import Numbering

NAMES = ("item_features", "user_features")
AddFeatures = Callable[[Events], Events]


def features_of_files(
    add: AddFeatures, shards: Sequence[Shard], items: Numbering, users: Numbering | None, staging: Path
) -> tuple[dict[str, Any], Numbering]:
    """The features of the items and users of all shards; and the numbering of items, with the names that the table of
    their features gives.

    add  adds features to events that have all ids, and no rows

    Holds all ids of items and users in memory.
    """
    vocab, named = _items(items, staging)
    none = np.zeros(0, dtype=np.int32)
    events = Events(
        none,
        none,
        Vocab(np.zeros(0, dtype=np.int64)),
        vocab,
        users=None if users is None else _users(users, shards, staging),
        user=None if users is None else none,
    )
    events = add(events)
    tables = {name: getattr(events, name) for name in NAMES if getattr(events, name) is not None}
    if not named and events.items.names is not None:
        items = _with_names(items, events.items.names, staging)
    return tables, items


def features_of_shard(shard: Shard, staging: Path) -> dict[str, Any]:
    """The features that the reader of a shard has read."""
    paths = {name: staging / shard.folder / f"{name}.parquet" for name in NAMES}
    return {name: load_features(path) for name, path in paths.items() if path.is_file()}


def _items(items: Numbering, staging: Path) -> tuple[Vocab, bool]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = pa.int64() if items.whole else pa.string()
    tables = [pq.ParquetFile(staging / part).read() for part in items.parts]
    named = any("name" in table.column_names for table in tables)
    ids = pa.chunked_array([chunk for table in tables for chunk in table.column("id").chunks if len(chunk)], kind)
    names = None
    if named:
        names = from_arrow(
            pa.chunked_array([c for t in tables if len(t) for c in t.column("name").chunks], pa.string())
        )
    return Vocab.from_unique(from_arrow(ids), names), named


def _users(users: Numbering, shards: Sequence[Shard], staging: Path) -> Vocab:
    import pyarrow as pa

    columns = [ids_of(staging / shard.folder, "user", whole=users.whole) for shard in shards]
    return Vocab.from_unique(from_arrow(pa.chunked_array(columns).unique()))


def _with_names(items: Numbering, names: np.ndarray, staging: Path) -> Numbering:
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = []
    for number, part in enumerate(items.parts):
        ids = pq.ParquetFile(staging / part).read(["id"]).column("id")
        given = names[items.starts[number] : items.starts[number] + len(ids)]
        parts.append(fresh_name("named", number, ".parquet"))
        save_columns(staging / parts[-1], id=ids, name=pa.array(given.tolist(), pa.string()))
    return replace(items, parts=parts)
