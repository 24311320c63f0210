"""Extend a long event log by a short one: only sessions that go on are sorted again, and all others are copied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from embedrec.data.deliveries import first_deliveries
from embedrec.data.event_log import EventLog, sort_rows
from embedrec.data.merge_vocabs import extend_ids, merge_features_of, merge_names
from embedrec.data.sort_events import Columns
from embedrec.data.vocab import Vocab
from embedrec.storage import memory_budget
from embedrec.storage.memory_budget import MemoryBudget, count_rows

_CODED = ("session", "item", "user", "kind")
_OTHERS = ("time", "weight")


def extend_log(log: EventLog, new: EventLog, memory: MemoryBudget) -> EventLog | None:
    """The log of the events of both, as `merge_logs` returns it: one copy of each column of `log`.

    None if `new` does more than add events: if it has other columns, other types of ids, or splits a session by user.
    """
    columns, others = _columns(log), _columns(new)
    if columns.keys() != others.keys() or log.unsplit is not None or new.unsplit is not None:
        return None
    vocabs: dict[str, Vocab] = {}
    for role in [role for role in _CODED if role in columns]:
        known = getattr(log.events, f"{role}s")
        extended = extend_ids(known.ids, getattr(new.events, f"{role}s").ids)
        if extended is None:
            return None
        rows, ids = extended
        names = merge_names([log, new], [np.arange(len(known)), rows], len(ids)) if role == "item" else None
        vocabs[role] = Vocab.from_unique(ids, names)
        others[role] = rows[others[role]]
    lengths = count_rows(columns["session"], len(log.events.sessions))
    goes_on = others["session"] < len(lengths)
    later, fresh = ({role: column[mask] for role, column in others.items()} for mask in (goes_on, ~goes_on))
    touched = np.unique(later["session"])  # (t,) sessions of `log`, ascending
    at = _events_of(touched, lengths)
    again = {role: np.concatenate([column[at], later[role]]) for role, column in columns.items()}
    if new.state.parted and "user" in columns and _are_shared(again):
        return None
    if len(touched):
        starts = np.array([0, len(at), len(again["session"])])
        keep = first_deliveries(again, starts, len(lengths), whole=new.state.whole)
        again = sort_rows({role: column[keep] for role, column in again.items()}, len(lengths), memory)
    layout = _Layout(lengths, touched, np.bincount(np.searchsorted(touched, again["session"]), minlength=len(touched)))
    fields: dict[str, Any] = {
        role: layout.column(columns[role], again[role], fresh[role], memory) for role in columns if role != "session"
    }
    finer, order = fields.pop("finer", None), fields.pop("order", None)
    of_fresh = count_rows(fresh["session"] - np.int32(len(lengths)), len(vocabs["session"]) - len(lengths))
    fields["session"] = memory.repeat(np.concatenate([layout.new_lengths, of_fresh]))
    fields |= {f"{role}s": vocab for role, vocab in vocabs.items()}
    events = replace(log.events, **fields, **merge_features_of([log, new]), memory=memory)
    blank = log.state.blank_users or new.state.blank_users
    return EventLog(events, finer, order, state=replace(new.state, blank_users=blank))


@dataclass(frozen=True, eq=False)
class _Copy:
    """Consecutive sessions, whose events are copied together.

    old, again, new  their slices of the old events, of the events of touched sessions, and of the new events
    kept, put        masks of `old` and `new` of the events of untouched sessions; None for all
    """

    old: slice
    again: slice
    new: slice
    kept: np.ndarray | None
    put: np.ndarray | None


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where the events of S sessions are before and after some of them are replaced.

    lengths  (S,) events of each session
    touched  (t,) sessions whose events are replaced, ascending
    changed  (t,) their numbers of events afterwards
    """

    lengths: np.ndarray
    touched: np.ndarray
    changed: np.ndarray

    @property
    def new_lengths(self) -> np.ndarray:
        lengths = self.lengths.copy()
        lengths[self.touched] = self.changed
        return lengths

    def column(self, old: np.ndarray, again: np.ndarray, fresh: np.ndarray, memory: MemoryBudget) -> np.ndarray:
        """A column with the events `again` of touched sessions in place of their old ones, and `fresh` at the end."""
        out = memory.empty(int(self.new_lengths.sum()) + len(fresh), old.dtype)
        for copy in self._copies():
            if copy.kept is None or copy.put is None:
                out[copy.new] = old[copy.old]
            else:
                out[copy.new][copy.put] = old[copy.old][copy.kept]
                out[copy.new][~copy.put] = again[copy.again]
        out[len(out) - len(fresh) :] = fresh
        return out

    def _copies(self) -> Iterator[_Copy]:
        new_lengths = self.new_lengths
        old, new, again = (_offsets(sizes) for sizes in (self.lengths, new_lengths, self.changed))
        starts = np.searchsorted(old, np.arange(0, old[-1], memory_budget.CHUNK_EVENTS))
        bounds = np.unique(np.append(starts, len(self.lengths)))
        for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            inside = slice(*np.searchsorted(self.touched, [first, last]).tolist())
            kept = put = None
            if inside.start < inside.stop:
                untouched = np.ones(last - first, dtype=bool)
                untouched[self.touched[inside] - first] = False
                kept = np.repeat(untouched, self.lengths[first:last])
                put = np.repeat(untouched, new_lengths[first:last])
            yield _Copy(
                slice(int(old[first]), int(old[last])),
                slice(int(again[inside.start]), int(again[inside.stop])),
                slice(int(new[first]), int(new[last])),
                kept,
                put,
            )


def _columns(log: EventLog) -> Columns:
    events = log.events
    named = {role: getattr(events, role) for role in (*_CODED, *_OTHERS)} | {"finer": log.finer, "order": log.order}
    return {role: column for role, column in named.items() if column is not None}


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)])


def _events_of(sessions: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The positions of the events of some sessions (t,), of all with these lengths (S,)."""
    inside = lengths[sessions]
    starts = _offsets(lengths)[sessions] - np.cumsum(inside) + inside
    return np.repeat(starts, inside) + np.arange(inside.sum())


def _are_shared(columns: Columns) -> bool:
    """Whether a session has events of several users."""
    order = np.argsort(columns["session"], kind="stable")
    session, user = columns["session"][order], columns["user"][order]
    return bool(((np.diff(session) == 0) & (np.diff(user) != 0)).any())
