"""Merge event logs: the log of all their events, as if one reading had read the files of all, in this order.

Sessions that go on in a later log are joined, and an event that an earlier log holds already is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from embedrec.data.event_log import EventLog, arrange
from embedrec.data.events import DAY
from embedrec.data.feature_parquet import merge_features
from embedrec.data.features import Features
from embedrec.data.parquet_io import from_arrow, to_arrow
from embedrec.data.sort_events import Columns
from embedrec.data.vocab import Ids, Vocab, as_texts
from embedrec.storage.memory_budget import MemoryBudget, chunks, count_rows

_NUMBERS = ("time", "weight")


def merge_logs(logs: Sequence[EventLog], memory: MemoryBudget, *, threads: int = 1) -> EventLog:
    """The log of the events of all logs, in this order.

    An event of a later log is dropped if an earlier one has an event of the same session, item, time (or position),
    user and kind. Repetitions within one log stay, as all do without times and positions: then only sessions that are
    read at once are known to be repeated.
    """
    if len(logs) == 1:
        return logs[0]
    state = replace(logs[-1].state, blank_users=any(log.state.blank_users for log in logs))
    coded = {"session": [log.events.sessions.ids if log.unsplit is None else log.unsplit for log in logs]}
    coded["item"] = [log.events.items.ids for log in logs]
    for role in ("user", "kind"):
        vocabs = [getattr(log.events, f"{role}s") for log in logs]
        if all(vocab is not None for vocab in vocabs):
            coded[role] = [vocab.ids for vocab in vocabs]
    columns: Columns = {}
    vocabs_of: dict[str, Vocab] = {}
    for role, ids in coded.items():
        rows, merged = merge_ids(ids)
        vocabs_of[role] = Vocab.from_unique(merged, _names(logs, rows, len(merged)) if role == "item" else None)
        columns[role] = _concatenate(
            [_recode(_before_split(log, getattr(log.events, role)), new) for log, new in zip(logs, rows, strict=True)],
            np.int32,
            memory,
        )
    for role in _NUMBERS:
        if getattr(logs[0].events, role) is not None:
            given = [_before_split(log, getattr(log.events, role)) for log in logs]
            columns[role] = _concatenate([_as_is(column) for column in given], given[0].dtype, memory)
    if any(log.finer is not None for log in logs):
        finer = [_even(log, state.even) if log.finer is None else _as_is(_before_split(log, log.finer)) for log in logs]
        columns["finer"] = _concatenate(finer, np.int32, memory)
    if all(log.order is not None for log in logs):
        columns["order"] = _concatenate([_as_is(_before_split(log, log.order)) for log in logs], np.float64, memory)
    starts = np.cumsum([0, *(len(log.events) for log in logs)])
    keep = _first_deliveries(columns, starts, len(vocabs_of["session"]), whole=state.whole)
    if not keep.all():
        columns = {role: memory.select(column, keep) for role, column in columns.items()}
    merged_log = arrange(columns, vocabs_of, state, memory, threads=threads)
    events = replace(
        merged_log.events,
        item_features=_features([log.events.item_features for log in logs]),
        user_features=_features([log.events.user_features for log in logs]),
    )
    return replace(merged_log, events=events)


def age_out(log: EventLog, days: float, last: int) -> EventLog:
    """The log without events more than `days` days before the time `last`, in milliseconds."""
    time = log.events.time
    since = last - int(days * DAY)
    if time is None or not len(time) or time.min() >= since:
        return log
    return filter_log(log, time >= since)


def filter_log(log: EventLog, keep: np.ndarray) -> EventLog:
    """The log of the events of a mask (E,), with vocabularies of the sessions, items and users that occur."""
    events = log.events.filter(keep)
    memory, unsplit = events.memory, log.unsplit
    changes: dict[str, Any] = {}
    for role, plural in (("session", "sessions"), ("item", "items"), ("user", "users")):
        column, vocab = getattr(events, role), getattr(events, plural)
        if vocab is None:
            continue
        used = count_rows(column, len(vocab)) > 0
        changes[role] = memory.reindex(column, (np.cumsum(used) - 1).astype(np.int32))
        changes[plural] = Vocab.from_unique(vocab.ids[used], None if vocab.names is None else vocab.names[used])
        if role == "session" and unsplit is not None:
            unsplit = unsplit[used]
    finer, order = (None if column is None else memory.select(column, keep) for column in (log.finer, log.order))
    places = None
    if log.places is not None:  # those that remain, without gaps
        places = np.empty(len(events), dtype=np.int64)
        places[np.argsort(log.places[keep])] = np.arange(len(events))
    return EventLog(replace(events, **changes), finer, order, unsplit, places, log.state)


Part = tuple[int, Callable[[slice], np.ndarray]]  # a length, and the values of a slice


def _recode(column: np.ndarray, new: np.ndarray) -> Part:
    return len(column), lambda chunk: new[column[chunk]]


def _as_is(column: np.ndarray) -> Part:
    return len(column), lambda chunk: column[chunk]


def _before_split(log: EventLog, column: Any) -> np.ndarray:
    """A column (E,) of a log in the order before sessions were split by user."""
    if log.places is None:
        return np.asarray(column)
    result = np.empty_like(column)
    result[log.places] = column
    return result


def _even(log: EventLog, nanoseconds: int) -> Part:
    return len(log.events), lambda chunk: np.full(chunk.stop - chunk.start, nanoseconds)


def _concatenate(parts: Sequence[Part], dtype: Any, memory: MemoryBudget) -> np.ndarray:
    out, at = memory.empty(sum(length for length, _ in parts), dtype), 0
    for length, values in parts:
        for chunk in chunks(length):
            out[at + chunk.start : at + chunk.stop] = values(chunk)
        at += length
    return out


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


def _names(logs: Sequence[EventLog], rows: Sequence[np.ndarray], n: int) -> np.ndarray | None:
    """Display names (n,), None if no log has any."""
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


def _features(tables: Sequence[Features | None]) -> Features | None:
    """The features of all tables; the latest of an id counts."""
    merged: Features | None = None
    for features in tables:
        if features is not None:
            merged = features if merged is None else merge_features(features, merged)
    return merged


def _first_deliveries(columns: Columns, starts: np.ndarray, sessions: int, *, whole: bool) -> np.ndarray:
    """Mask (E,) of the events that no earlier log holds.

    starts  (logs + 1,) where each log begins in the columns
    whole   whether a session is read at once, and a later one of its id is a repetition
    """
    session, new = columns["session"], int(starts[1])
    keep = np.ones(len(session), dtype=bool)
    keys = [columns[role] for role in ("time", "finer", "order") if role in columns]
    if not keys and not whole:
        return keep
    touched = np.zeros(sessions, dtype=bool)
    touched[session[new:]] = True
    at = np.concatenate([chunk.start + np.flatnonzero(touched[session[chunk]]) for chunk in chunks(len(session))])
    part = np.searchsorted(starts, at, side="right")  # (m,)
    if whole:
        first = np.full(sessions, len(starts))
        np.minimum.at(first, session[at], part)
        keep[at[part > first[session[at]]]] = False
        return keep
    keys += [columns[role] for role in ("item", "user", "kind") if role in columns]
    candidates = [part, *(column[at] for column in keys), session[at]]
    order = np.lexsort(candidates)
    begins = np.ones(len(at), dtype=bool)  # whether an event differs from the one before
    begins[1:] = np.any([np.diff(column[order]) != 0 for column in candidates[1:]], axis=0)
    first_part = part[order][begins][np.cumsum(begins) - 1]
    keep[at[order[part[order] > first_part]]] = False
    return keep
