"""The training sessions as a session kNN stores them: sorted by preference, with the last mention of each item
marked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from embedrec.data.offsets import check_offsets
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError

Order = Literal["last", "first", "weight"]  # by time of the last or first event, or by weight; later ones are preferred

_NO_TIME = np.iinfo(np.int64).min  # time of a session without events


@dataclass(frozen=True, eq=False)
class SessionStore:
    """S sessions with E events of n items; later ones are preferred.

    offsets  (S+1,) int64
    items    (E,) int32 rows; ~row if the item occurs again later in the session
    numbers  (S,) int32: position of the session in the input, from 0
    times    (S,) int64 ms of its last (or first) event, or None
    weights  (S,) float64 mean weight of its events, or None if not used
    eligible  (S,) uint8: 1 if it can be a neighbour; None if all can. Saved as "found"
    """

    offsets: np.ndarray
    items: np.ndarray
    numbers: np.ndarray
    times: np.ndarray | None = None
    weights: np.ndarray | None = None
    eligible: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The fields that are not None, by name."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        return {name: column for name, column in columns.items() if column is not None}

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The fields that are not None, by the names that artifacts use."""
        return {_SAVED_NAMES.get(name, name): column for name, column in self.columns.items()}

    @classmethod
    def of(cls, sessions: Sessions, order: Order, kind: str | None = None) -> SessionStore:
        """The store of sessions.

        kind  name of a kind of events: only sessions with such an event can be neighbours
        Raises DataError when weights or kinds are needed and missing.
        """
        from embedrec.kernels.inverted_index import mark_repeats

        if len(sessions) > _MOST or len(sessions.vocab) > _MOST:
            raise DataError(f"session kNN supports at most {_MOST:,} sessions and items, but there are more")
        offsets, nonempty = sessions.offsets, sessions.lengths > 0
        times = None
        if sessions.times is not None:
            times = np.full(len(sessions), _NO_TIME)
            times[nonempty] = sessions.times[offsets[:-1][nonempty] if order == "first" else offsets[1:][nonempty] - 1]
        weights = None
        if order == "weight":
            if sessions.weights is None:
                raise DataError(
                    "sampling by weighted_events needs a weight of every event, but the sessions have none; "
                    "name their column when preparing, or choose another sampling"
                )
            weights = np.zeros(len(sessions))
            sums = (
                np.add.reduceat(sessions.weights.astype(np.float64), offsets[:-1][nonempty]) if nonempty.any() else 0.0
            )
            weights[nonempty] = sums / sessions.lengths[nonempty]
        eligible = None if kind is None else _has_event(sessions, kind)
        items = mark_repeats(offsets, sessions.items, len(sessions.vocab))
        return cls(offsets, items, np.arange(len(sessions), dtype=np.int32), times, weights, eligible)._sort()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], n: int) -> SessionStore:
        """The store of its arrays, for n items. Raises DataError when they do not fit together."""
        store = cls(*(arrays.get(_SAVED_NAMES.get(name, name)) for name in _COLUMNS))  # type: ignore[arg-type]
        size = len(store)
        for name, dtype in _COLUMNS.items():
            column = getattr(store, name)
            shape = {"offsets": (size + 1,), "items": (store.offsets[-1],)}.get(name, (size,))
            if column is not None and (column.dtype != dtype or column.shape != shape):
                raise DataError(
                    f"{name} of {size} sessions must be {dtype} {shape}, but are {column.dtype} {column.shape}"
                )
        check_offsets(store.offsets, len(store.items), "sessions", "events")
        if len(store.items) and not -n <= store.items.min() <= store.items.max() < n:
            raise DataError(f"items of sessions must be rows of {n} items, but some are out of range")
        if not np.array_equal(np.sort(store.numbers), np.arange(size)):
            raise DataError(f"{size} sessions must have the numbers 0 … {size - 1}, each once")
        for name in ("weights", "times"):
            key = getattr(store, name)
            if key is not None:
                if not (key[:-1] <= key[1:]).all():
                    raise DataError(f"sessions must be sorted by {name}, but are not")
                break
        return store

    def sessions(self, vocab: Vocab) -> Sessions:
        """The sessions in stored order; every event has the time of its session."""
        times = None if self.times is None else np.repeat(self.times, np.diff(self.offsets))
        return Sessions(self.offsets, np.maximum(self.items, ~self.items), vocab, self.numbers, times=times)

    def join(self, newer: SessionStore) -> SessionStore:
        """These sessions and newer ones, numbered after them. Raises DataError when only one of both has times."""
        if (self.times is None) != (newer.times is None):
            ours, theirs = ("no times", "times") if self.times is None else ("times", "no times")
            raise DataError(f"the model's sessions have {ours}, but the new ones have {theirs}; prepare both alike")
        columns = {
            name: np.concatenate([column, newer.columns[name]])
            for name, column in self.columns.items()
            if name not in ("offsets", "numbers")
        }
        offsets = np.concatenate([self.offsets, self.offsets[-1] + newer.offsets[1:]])
        numbers = np.concatenate([self.numbers, newer.numbers + np.int32(len(self))])
        return SessionStore(offsets, numbers=numbers, **columns)._sort()

    def filter(self, keep: np.ndarray) -> SessionStore:
        """The sessions of a mask (S,) in the same order, renumbered from 0 in the order of their old numbers."""
        lengths = np.diff(self.offsets)
        rank = np.empty(int(keep.sum()), dtype=np.int32)
        rank[np.argsort(self.numbers[keep])] = np.arange(len(rank), dtype=np.int32)
        columns = {
            name: column[np.repeat(keep, lengths) if name == "items" else keep]
            for name, column in self.columns.items()
            if name not in ("offsets", "numbers")
        }
        return SessionStore(np.concatenate([[0], np.cumsum(lengths[keep])]), numbers=rank, **columns)

    def newest(self, count: int) -> np.ndarray:
        """A mask (S,) of the newest sessions: by time if known, else by number."""
        order = np.lexsort((self.numbers,) if self.times is None else (self.numbers, self.times))
        keep = np.zeros(len(self), dtype=bool)
        keep[order[max(0, len(self) - count) :]] = True
        return keep

    def _sort(self) -> SessionStore:
        """Sorted by weight if any, then by time if known, then by number."""
        keys = [key for key in (self.times, self.weights) if key is not None]
        order = np.lexsort((self.numbers, *keys))
        if (order[:-1] < order[1:]).all():
            return self
        lengths = np.diff(self.offsets)[order]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        events = np.repeat(self.offsets[:-1][order] - offsets[:-1], lengths) + np.arange(offsets[-1])
        columns = {
            name: column[events if name == "items" else order]
            for name, column in self.columns.items()
            if name != "offsets"
        }
        return SessionStore(offsets, **columns)


_COLUMNS = {
    "offsets": "int64",
    "items": "int32",
    "numbers": "int32",
    "times": "int64",
    "weights": "float64",
    "eligible": "uint8",
}
_SAVED_NAMES = {"eligible": "found"}  # in artifacts
_MOST = 2**31 - 2


def _has_event(sessions: Sessions, kind: str) -> np.ndarray:
    """(S,) uint8: 1 for the sessions with an event of this kind. Raises DataError when kinds are missing or unknown."""
    if sessions.kinds is None or sessions.kind_names is None:
        raise DataError(
            f"required_event={kind!r} needs kinds of events, but the sessions have none; "
            "name their column when preparing, or leave required_event out"
        )
    names = [str(name) for name in sessions.kind_names.tolist()]
    if kind not in names:
        raise DataError(f"no event is of the kind {kind!r}; kinds are {', '.join(map(repr, names))}")
    at = sessions.session_of
    return np.bincount(at[sessions.kinds == names.index(kind)], minlength=len(sessions)).astype(bool).view(np.uint8)
