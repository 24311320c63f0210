"""Merge event logs: the log of all their events, as if one reading had read the files of all, in this order.

Sessions that go on in a later log are joined, and an event that an earlier log holds already is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from embedrec.data.deliveries import first_deliveries
from embedrec.data.event_log import EventLog, arrange
from embedrec.data.events import DAY
from embedrec.data.extend_log import extend_log
from embedrec.data.merge_vocabs import merge_features_of, merge_ids, merge_names
from embedrec.data.sort_events import Columns
from embedrec.data.vocab import Vocab
from embedrec.storage.memory_budget import MemoryBudget, chunks, count_rows

_NUMBERS = ("time", "weight")


def merge_logs(logs: Sequence[EventLog], memory: MemoryBudget, *, threads: int = 1) -> EventLog:
    """The log of the events of all logs, in this order.

    An event of a later log is dropped if an earlier one has an event of the same session, item, time (or position),
    user and kind. Repetitions within one log stay, as all do without times and positions: then only sessions that are
    read at once are known to be repeated.

    The first log is copied where the others only add to it, see `extend_log`; otherwise all events are sorted again.
    """
    first, *others = logs
    if not others:
        return first
    new = others[0] if len(others) == 1 else merge_all(others, memory, threads=threads)
    merged = extend_log(first, new, memory)
    return merge_all(logs, memory, threads=threads) if merged is None else merged


def merge_all(logs: Sequence[EventLog], memory: MemoryBudget, *, threads: int = 1) -> EventLog:
    """The same as `merge_logs`, by sorting all events."""
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
        vocabs_of[role] = Vocab.from_unique(merged, merge_names(logs, rows, len(merged)) if role == "item" else None)
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
    keep = first_deliveries(columns, starts, len(vocabs_of["session"]), whole=state.whole)
    if not keep.all():
        columns = {role: memory.select(column, keep) for role, column in columns.items()}
    merged_log = arrange(columns, vocabs_of, state, memory, threads=threads)
    return replace(merged_log, events=replace(merged_log.events, **merge_features_of(logs)))


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
