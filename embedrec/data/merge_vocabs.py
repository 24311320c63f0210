"""Vocabularies of several event logs as one: ids in the order of first appearance, their names and features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from embedrec.data.event_log import EventLog
from embedrec.data.feature_parquet import merge_features
from embedrec.data.features import Features
from embedrec.data.parquet_io import from_arrow, to_arrow
from embedrec.data.vocab import Ids, as_texts


def merge_ids(columns: Sequence[Ids]) -> tuple[list[np.ndarray], Ids]:
    """Distinct ids in the order of first appearance, and the row of every id of every column; those of a column may
    repeat. Ids are numbers if all columns are, else texts.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not all(column.dtype == np.int64 for column in columns):
        columns = [as_texts(column) for column in columns]
    arrays = [to_arrow(column, large=True) for column in columns]
    known = pc.unique(arrays[0])
    later = pa.concat_arrays(arrays[1:]).unique()
    known = pa.concat_arrays([known, later.filter(pc.is_null(pc.index_in(later, value_set=known)))])
    rows = [pc.index_in(array, value_set=known).to_numpy().astype(np.int32, copy=False) for array in arrays]
    return rows, from_arrow(known)


def extend_ids(known: Ids, ids: Ids) -> tuple[np.ndarray, Ids] | None:
    """The same for two columns, many known ids and few others, none of which repeats within its column.

    Returns the row of every other id, and all ids; None if that changes the type of the known ones.
    """
    import pyarrow.compute as pc

    if known.dtype != ids.dtype:
        if known.dtype == np.int64:
            return None
        ids = as_texts(ids)
    # places of the many among the few: a hash table of the few
    places = pc.index_in(to_arrow(known, large=True), value_set=to_arrow(ids, large=True))
    both = places.is_valid().to_numpy(zero_copy_only=False)
    rows = np.full(len(ids), -1, dtype=np.int32)
    rows[places.drop_null().to_numpy()] = np.flatnonzero(both)
    new = np.flatnonzero(rows < 0)
    rows[new] = len(known) + np.arange(len(new))
    return rows, np.concatenate([known, ids[new]])


def merge_names(logs: Sequence[EventLog], rows: Sequence[np.ndarray], n: int) -> np.ndarray | None:
    """The display names (n,) of items of all logs; None if no log has any.

    rows  the rows (n,) of the items of each log
    """
    named = [log.events.items.names for log in logs]
    if all(names is None for names in named):
        return None
    result = np.full(n, "", dtype=object)
    for log, names, new in zip(logs, named, rows, strict=True):
        if names is not None:
            write = names != ""
            if log.state.first_names:
                write &= result[new] == ""
            result[new[write]] = names[write]
    return result


def merge_features_of(logs: Sequence[EventLog]) -> dict[str, Any]:
    """The features of items and users, by field of `Events`; the latest of an id counts."""
    merged: dict[str, Features | None] = {}
    for name in ("item_features", "user_features"):
        merged[name] = None
        for log in logs:
            features, before = getattr(log.events, name), merged[name]
            if features is not None:
                merged[name] = features if before is None else merge_features(features, before)
    return merged
