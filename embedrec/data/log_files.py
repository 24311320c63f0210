"""Files of event logs in a sessions artifact.

The log of `prepare` shares the events that passed all filters with the sessions; only the others are stored beside, and
a bit an event that tells which is which:

log_kept        packed bits (E,): the events that passed; without this file all did
log_items       rows of the other events in the vocabulary of the sessions followed by `log_vocab`; also log_times,
                log_weights, log_kinds
log_lengths     (S,) events of every session as read, if they differ from those of the artifact
log_sessions    ids of the sessions that lost all events; of all sessions if they are regrouped; log_users alike
log_vocab       items that lost all events
log_finer, log_order, log_unsplit, log_places    as of `EventLog`, where it has them

If sessions are regrouped by user, and in segments ("log1_", "log2_" …) of files that were appended, a log is stored
whole: with its own vocabulary, and `kinds`, `item_features` and `user_features` of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from embedrec.data.event_log import EventLog, ReadState
from embedrec.data.events import Events, factorize
from embedrec.data.feature_parquet import load_features, save_features
from embedrec.data.parquet_io import load_ids, load_vocab, save_ids, save_vocab
from embedrec.data.vocab import Ids, Vocab, as_texts
from embedrec.errors import ArtifactError
from embedrec.storage.artifacts import Artifact, Draft
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget, chunks, count_rows

BASE = "log_"
_COLUMNS = {"times": ("time", np.int64), "weights": ("weight", np.float32), "kinds": ("kind", np.int32)}
_EXTRAS = {"finer": "int32", "order": "float64", "places": "int64"}
_FEATURES = ("item_features", "user_features")


class WrittenSessions(Protocol):
    """The sessions that an artifact holds, see `data.sessions.Sessions`."""

    items: np.ndarray
    vocab: Vocab
    users: Ids | None


@dataclass(frozen=True, eq=False)
class SessionUsers:
    """The user of every session.

    ids    (S,)
    order  distinct users in the order in which the files name them, if that of sessions is another; else None
    """

    ids: Ids
    order: Ids | None

    def write(self, draft: Draft, part: str, sessions: np.ndarray | None = None) -> None:
        """Write the users of the sessions of a mask (S,), or of all."""
        save_ids(self.ids if sessions is None else self.ids[sessions], draft.path(f"{part}users.parquet"))

    def write_order(self, draft: Draft, part: str) -> None:
        """Write the order of users, where it is another."""
        if self.order is not None:
            save_ids(self.order, draft.path(f"{part}user_order.parquet"))


def one_user_a_session(events: Events) -> bool:
    """Whether every session has events of one user only, as a log of events needs; also without users."""
    if events.user is None:
        return True
    first = _first_users(events, events.user)
    return all(bool((events.user[c] == first[events.session[c]]).all()) for c in chunks(len(events)))


def _first_users(events: Events, user: np.ndarray) -> np.ndarray:
    lengths = count_rows(events.session, len(events.sessions))
    return user[np.minimum(np.cumsum(lengths) - lengths, max(len(user) - 1, 0))]


def session_users(events: Events) -> SessionUsers | None:
    """The users of sessions, None without users."""
    if events.user is None or events.users is None:
        return None
    first = _first_users(events, events.user)  # (S,)
    _, at = np.unique(first, return_index=True)
    ordered = bool((np.diff(first[np.sort(at)]) > 0).all())
    return SessionUsers(events.users.ids[first], None if ordered else events.users.ids)


# ---------------------------------------------------------------------------------------------- whole logs


def write_log(draft: Draft, log: EventLog, part: str) -> None:
    """Write a whole log; `part` is a prefix of the names of its files."""
    events = log.events
    draft.array(f"{part}lengths", count_rows(events.session, len(events.sessions)).astype(np.int32))
    draft.array(f"{part}items", events.item)
    for name, (column, _) in _COLUMNS.items():
        if getattr(events, column) is not None:
            draft.array(f"{part}{name}", getattr(events, column))
    save_ids(events.sessions.ids, draft.path(f"{part}sessions.parquet"))
    save_vocab(replace(events.items, counts=None), draft.path(f"{part}vocab.parquet"))
    if events.kinds is not None:
        save_ids(events.kinds.ids, draft.path(f"{part}kinds.parquet"))
    users = session_users(events)
    if users is not None:
        users.write(draft, part)
        users.write_order(draft, part)
    for name in _FEATURES:
        if getattr(events, name) is not None:
            save_features(getattr(events, name), draft.path(f"{part}{name}.parquet"))
    _write_extras(draft, log, part)


def read_log(artifact: Artifact, part: str, state: ReadState, memory: MemoryBudget = IN_MEMORY) -> EventLog:
    """A log that `write_log` wrote."""
    lengths = artifact.array(f"{part}lengths", "int32").astype(np.int64)
    columns = {
        column: artifact.array(f"{part}{name}", np.dtype(dtype).name)
        for name, (column, dtype) in _COLUMNS.items()
        if f"{part}{name}.npy" in artifact
    }
    item = artifact.array(f"{part}items", "int32")
    features = {
        name: load_features(artifact.path(f"{part}{name}.parquet"))
        for name in _FEATURES
        if f"{part}{name}.parquet" in artifact
    }
    given = {
        "item": item,
        "items": load_vocab(artifact.path(f"{part}vocab.parquet")),
        "kinds": _kinds(_ids(artifact, f"{part}kinds")),
        **columns,
        **features,
    }
    sessions, users = load_ids(artifact.path(f"{part}sessions.parquet")), _ids(artifact, f"{part}users")
    return _log(artifact, part, state, (lengths, sessions, users), given, memory)


# ---------------------------------------------------------------------------------------------- the log of prepare


@dataclass(frozen=True)
class LogRest:
    """What a log holds beside the sessions that are made from it.

    sessions, items   vocabularies of the log
    lengths    (S,) events of every session
    users      the user of every session, or None
    finer, order, unsplit, places  as of `EventLog`
    mask       (E,) the events that passed all filters
    columns    name of a column → its values (m,) of the other events
    regrouped  whether the sessions of the artifact are others
    """

    sessions: Vocab
    items: Vocab
    lengths: np.ndarray
    users: SessionUsers | None
    finer: np.ndarray | None
    order: np.ndarray | None
    unsplit: Ids | None
    places: np.ndarray | None
    mask: np.ndarray
    columns: dict[str, np.ndarray]
    regrouped: bool

    @classmethod
    def of(cls, log: EventLog, mask: np.ndarray, *, regrouped: bool) -> LogRest:
        """The rest of a log whose events of a mask (E,) pass."""
        events, memory = log.events, log.events.memory
        dropped = ~mask
        named = {"items": events.item, **{name: getattr(events, column) for name, (column, _) in _COLUMNS.items()}}
        return cls(
            events.sessions,
            events.items,
            count_rows(events.session, len(events.sessions)),
            session_users(events),
            log.finer,
            log.order,
            log.unsplit,
            log.places,
            mask,
            {name: memory.select(column, dropped) for name, column in named.items() if column is not None},
            regrouped,
        )

    def write(self, draft: Draft, kept: Events, sessions: WrittenSessions) -> None:
        """Write the files.

        kept  the events that passed, of which `sessions` are made
        """
        rows = np.full(len(self.items), -1, dtype=np.int32)  # as read → in the artifact
        for chunk in chunks(len(kept)):
            rows[kept.item[chunk]] = sessions.items[chunk]
        lost = np.flatnonzero(rows < 0)
        lost = lost[np.argsort(self.items.ids[lost], kind="stable")]  # whatever the order of files
        rows[lost] = len(sessions.vocab) + np.arange(len(lost), dtype=np.int32)
        left = np.ones(len(self.lengths), dtype=bool)  # the sessions of the artifact, if they are those of the log
        if not self.mask.all():
            draft.array(f"{BASE}kept", np.packbits(self.mask))
            draft.array(f"{BASE}items", rows[self.columns["items"]])
            for name in self.columns.keys() - {"items"}:
                draft.array(f"{BASE}{name}", self.columns[name])
            left = count_rows(kept.session, max(len(kept.sessions), len(left)))[: len(left)] > 0
        if self.regrouped or not self.mask.all():
            draft.array(f"{BASE}lengths", self.lengths.astype(np.int32))
            stored = np.full(len(left), True) if self.regrouped else ~left
            save_ids(self.sessions.ids[stored], draft.path(f"{BASE}sessions.parquet"))
            if self.users is not None and sessions.users is not None and not self.regrouped:
                self.users.write(draft, BASE, stored)
        if self.users is not None and (sessions.users is None or self.regrouped):
            self.users.write(draft, BASE)
        if self.users is not None:
            self.users.write_order(draft, BASE)
        if len(lost):
            save_vocab(self.items.take(lost), draft.path(f"{BASE}vocab.parquet"))
        _write_extras(draft, self, BASE)


def kept_lengths(mask: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Events of a mask (E,) in every session: (S,), with all events (S,) of each."""
    ends = np.cumsum(lengths)
    passed_at_end, passed = np.zeros(len(lengths), dtype=np.int64), 0
    for chunk in chunks(len(mask)):
        count = passed + np.cumsum(mask[chunk])  # (b,) events of the mask up to each
        inside = slice(*np.searchsorted(ends, [chunk.start, chunk.stop], side="right"))  # sessions that end here
        passed_at_end[inside] = count[ends[inside] - 1 - chunk.start]
        passed = int(count[-1])
    return np.diff(passed_at_end, prepend=0)


def read_base(artifact: Artifact, state: ReadState, *, regrouped: bool, memory: MemoryBudget = IN_MEMORY) -> EventLog:
    """The log that `LogRest` wrote beside the sessions of an artifact."""
    vocab = load_vocab(artifact.path("vocab.parquet"))
    kept = artifact.array("items", "int32")
    offsets = artifact.array("offsets", "int64")
    mask = None
    if f"{BASE}kept.npy" in artifact:
        count = len(kept) + len(artifact.array(f"{BASE}items", "int32"))
        bits = artifact.array(f"{BASE}kept", "uint8")
        if len(bits) != (count + 7) // 8:
            raise ArtifactError(f"{artifact.folder} has a log of {len(bits)} bytes for {count} events")
        mask = np.unpackbits(bits, count=count).view(bool)
    lengths = np.diff(offsets)
    if f"{BASE}lengths.npy" in artifact:
        lengths = artifact.array(f"{BASE}lengths", "int32").astype(np.int64)
    left = np.diff(offsets) > 0 if mask is None else _check(artifact, mask, lengths) > 0
    ids, users = _ids(artifact, f"{BASE}sessions"), _ids(artifact, f"{BASE}users")
    sessions = ids
    if not regrouped:
        sessions = _scatter_ids(left, load_ids(artifact.path("sessions.parquet")), ids)
        if "users.parquet" in artifact:
            users = _scatter_ids(left, load_ids(artifact.path("users.parquet")), users)
    columns = {
        column: _scatter(artifact, name, mask, dtype, memory)
        for name, (column, dtype) in _COLUMNS.items()
        if f"{name}.npy" in artifact
    }
    features = {
        name: load_features(artifact.path(f"{name}.parquet")) for name in _FEATURES if f"{name}.parquet" in artifact
    }
    items = replace(vocab, counts=None)
    if f"{BASE}vocab.parquet" in artifact:
        lost = load_vocab(artifact.path(f"{BASE}vocab.parquet"))
        items = _joined_vocab(items, lost)
    given = {
        "item": _scatter(artifact, "items", mask, np.int32, memory),
        "items": items,
        "kinds": _kinds(_ids(artifact, "kinds")),
        **columns,
        **features,
    }
    return _log(artifact, BASE, state, (lengths, sessions, users), given, memory)


def _check(artifact: Artifact, mask: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The kept events of every session (S,). Raises ArtifactError if lengths (S,) do not belong to a mask (E,)."""
    if (len(lengths) and (lengths.min() < 0 or lengths.max() > len(mask))) or int(lengths.sum()) != len(mask):
        raise ArtifactError(f"{artifact.folder} has a log whose sessions do not have {len(mask)} events")
    return kept_lengths(mask, lengths)


def _scatter(artifact: Artifact, name: str, mask: np.ndarray | None, dtype: Any, memory: MemoryBudget) -> np.ndarray:
    """A column (E,): the artifact's values where the mask (E,) is true, and those of the log elsewhere."""
    kept = artifact.array(name, np.dtype(dtype).name)
    if mask is None:
        return kept
    dropped = artifact.array(f"{BASE}{name}", np.dtype(dtype).name)
    out, at = memory.empty(len(mask), dtype), 0
    for chunk in chunks(len(mask)):
        inside = mask[chunk]
        count = int(np.count_nonzero(inside))
        out[chunk][inside] = kept[at : at + count]
        out[chunk][~inside] = dropped[chunk.start - at : chunk.stop - at - count]
        at += count
    return out


def _scatter_ids(left: np.ndarray, kept: Ids, others: Ids | None) -> Ids:
    """Ids (S,): `kept` where the mask (S,) is true, the others elsewhere."""
    if others is None or not len(others):
        return kept
    if kept.dtype != others.dtype and len(kept):
        kept, others = as_texts(kept), as_texts(others)
    out = np.empty(len(left), dtype=others.dtype)
    out[left], out[~left] = kept, others
    return out


def _joined_vocab(first: Vocab, second: Vocab) -> Vocab:
    names = None
    if first.names is not None and second.names is not None:
        names = np.concatenate([first.names, second.names])
    return Vocab(np.concatenate([first.ids, second.ids]), names)


# ---------------------------------------------------------------------------------------------- both


def _write_extras(draft: Draft, log: EventLog | LogRest, part: str) -> None:
    for name in _EXTRAS:
        if getattr(log, name) is not None:
            draft.array(f"{part}{name}", getattr(log, name))
    if log.unsplit is not None:
        save_ids(log.unsplit, draft.path(f"{part}unsplit.parquet"))


def _ids(artifact: Artifact, name: str) -> Ids | None:
    return load_ids(artifact.path(f"{name}.parquet")) if f"{name}.parquet" in artifact else None


def _kinds(ids: Ids | None) -> Vocab | None:
    return None if ids is None else Vocab(ids)


def _log(
    artifact: Artifact,
    part: str,
    state: ReadState,
    of_sessions: tuple[np.ndarray, Ids | None, Ids | None],
    given: dict[str, Any],
    memory: MemoryBudget,
) -> EventLog:
    """A log of its lengths, ids and users of sessions (S,), and of the other fields of its `Events`.

    Raises ArtifactError or DataError if they do not belong together.
    """
    lengths, sessions, users = of_sessions
    item = given["item"]
    if sessions is None or len(sessions) != len(lengths) or (users is not None and len(users) != len(lengths)):
        raise ArtifactError(f"{artifact.folder} has a log of {len(lengths)} sessions without as many ids")
    if (len(lengths) and lengths.min() < 0) or int(lengths.sum()) != len(item):
        raise ArtifactError(f"{artifact.folder} has a log whose sessions do not have {len(item)} events")
    owner, owners = None, None
    if users is not None:
        owner, owners = factorize(users)
        if f"{part}user_order.parquet" in artifact:
            owners = Vocab(load_ids(artifact.path(f"{part}user_order.parquet")))
            owner = owners.rows(users, strict=True).astype(np.int32)
    of_session = memory.repeat(lengths)
    extras: dict[str, Any] = {}
    for name, dtype in _EXTRAS.items():
        if f"{part}{name}.npy" in artifact:
            extras[name] = artifact.array(f"{part}{name}", dtype)
    return EventLog(
        Events(
            session=of_session,
            sessions=Vocab(sessions),
            user=None if owner is None else memory.reindex(of_session, owner),
            users=owners,
            memory=memory,
            **given,
        ),
        unsplit=_ids(artifact, f"{part}unsplit"),
        state=state,
        **extras,
    )
