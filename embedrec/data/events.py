"""Events: which session contains which item, when; one array per column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from embedrec.data.features import Features
from embedrec.data.parquet_io import from_arrow, to_arrow
from embedrec.data.times import as_times, ordered_times
from embedrec.data.vocab import Vocab, as_ids
from embedrec.errors import DataError
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget, chunks
from embedrec.text import FIRST_ROWS, Described, Summary, counted

DAY = 86_400_000  # milliseconds


@dataclass(frozen=True, eq=False, repr=False)
class Events(Described):
    """E events, sorted by (session, time, original order); sessions are numbered by first appearance.

    session   (E,) int32 rows into `sessions`, ascending
    item      (E,) int32 rows into `items`
    sessions  vocabulary of session ids
    items     vocabulary of item ids, with names and counts where known
    user      (E,) int32 rows into `users`, or None
    users     vocabulary of user ids, or None
    time      (E,) int64 milliseconds since 1970-01-01 UTC, or None
    weight    (E,) float32 (ratings, play counts), or None
    kind      (E,) int32 rows into `kinds` (click, buy …), or None
    kinds     vocabulary of kinds, or None
    item_features, user_features  features of items and users, or None; their ids need not be those that occur here
    memory    where the columns, and columns derived from them, are stored

    Raises DataError when columns differ in length, rows are out of range, or sessions are not ascending.

    >>> from embedrec import Events
    >>> Events.of(["s", "t", "s"], ["jam", "jam", "bread"], time=[2_000, 3_000, 1_000])
    Events(3 events, 2 sessions, 2 items, 1970-01-01)
    """

    session: np.ndarray
    item: np.ndarray
    sessions: Vocab
    items: Vocab
    user: np.ndarray | None = None
    users: Vocab | None = None
    time: np.ndarray | None = None
    weight: np.ndarray | None = None
    kind: np.ndarray | None = None
    kinds: Vocab | None = None
    item_features: Features | None = None
    user_features: Features | None = None
    memory: MemoryBudget = IN_MEMORY

    def __post_init__(self) -> None:
        if self.time is not None and self.time.dtype != np.int64:
            object.__setattr__(self, "time", as_times(self.time, "times of events"))
        for name in _COLUMNS:
            column = getattr(self, name)
            if column is not None and len(column) != len(self.item):
                raise DataError(f"{len(self.item)} events were given {len(column)} values of {name!r}")
        for name, vocab in zip(_CODED, self._vocabs, strict=True):
            column = getattr(self, name)
            if column is not None and vocab is not None:
                check_rows(column, len(vocab), name)
        # each chunk starts one event early, so that the step between two chunks is checked too
        if any((np.diff(self.session[max(chunk.start - 1, 0) : chunk.stop]) < 0).any() for chunk in chunks(len(self))):
            raise DataError("events must be sorted by session; make them with Events.of")
        if self.weight is not None and not all(np.isfinite(self.weight[chunk]).all() for chunk in chunks(len(self))):
            raise DataError("weights of events must be finite; drop or repair the rows with NaN or infinity")

    def __len__(self) -> int:
        return len(self.item)

    @property
    def _vocabs(self) -> tuple[Vocab | None, ...]:
        """The vocabularies of the columns `_CODED`."""
        return self.sessions, self.items, self.users, self.kinds

    @classmethod
    def of(
        cls,
        session: Sequence[Any] | np.ndarray,
        item: Sequence[Any] | np.ndarray,
        *,
        user: Sequence[Any] | np.ndarray | None = None,
        time: Sequence[Any] | np.ndarray | None = None,
        weight: Sequence[float] | np.ndarray | None = None,
        kind: Sequence[Any] | np.ndarray | None = None,
        names: dict[Any, str] | None = None,
    ) -> Events:
        """Events from columns of ids (each (E,)), in any order.

        time   milliseconds since 1970, or dates that `times.as_times` accepts; digits below a millisecond order
               events, and are then discarded
        names  item id → display name

        Raises DataError for columns of different lengths, and for ids, times and weights that cannot be read.

        >>> events = Events.of(["s", "t", "s"], ["jam", "jam", "bread"], time=[2_000, 3_000, 1_000])
        >>> events.items.ids[events.item].tolist()
        ['bread', 'jam', 'jam']
        """
        session_rows, sessions = factorize(session)
        item_rows, items = factorize(item)
        if names is not None:
            items = Vocab(items.ids, np.array([names.get(i, "") for i in items.ids.tolist()], dtype=object))
        user_rows, users = (None, None) if user is None else factorize(user)
        kind_rows, kinds = (None, None) if kind is None else factorize(kind)
        times, exact = (None, None) if time is None else ordered_times(time, "times of events")
        weights = None if weight is None else as_weights(weight)
        lengths = {len(c) for c in (session_rows, item_rows, user_rows, times, weights, kind_rows) if c is not None}
        if len(lengths) > 1:
            raise DataError(f"columns of events must have the same length, but have {sorted(lengths)}")
        keys = [session_rows] if exact is None else [exact, session_rows]
        order = np.lexsort(keys)  # stable: equal times keep their order
        return cls(
            session=session_rows[order],
            item=item_rows[order],
            sessions=sessions,
            items=items,
            user=None if user_rows is None else user_rows[order],
            users=users,
            time=None if times is None else times[order],
            weight=None if weights is None else weights[order],
            kind=None if kind_rows is None else kind_rows[order],
            kinds=kinds,
        )

    def _summary(self) -> Summary:
        part, first = slice(FIRST_ROWS), {}
        for name, vocab in zip(_CODED, self._vocabs, strict=True):
            column = getattr(self, name)
            if column is not None and vocab is not None:
                first[name] = vocab.ids[column[part]].tolist()
        if self.time is not None:
            first["time"] = [str(t) for t in self.time[part].astype("datetime64[ms]")]
        if self.weight is not None:
            first["weight"] = self.weight[part].tolist()
        users = None if self.user is None or self.users is None else len(self.users)
        counts = counted(events=len(self), sessions=len(self.sessions), items=len(self.items), users=users)
        extra = [f"{name}s" for name in ("weight", "kind") if name in first]
        return Summary([*counts, *date_range(self.time), *extra], first, len(self) - FIRST_ROWS)

    def filter(self, keep: np.ndarray) -> Events:
        """The events of a mask (E,) bool; vocabularies stay the same.

        >>> events = Events.of(["s", "s", "t"], ["jam", "bread", "jam"])
        >>> events.filter(events.item == 0)
        Events(2 events, 2 sessions, 2 items)
        """
        return filter_fields(vars(self).copy(), keep)


_CODED = ("session", "item", "user", "kind")
_COLUMNS = ("session", "item", "user", "time", "weight", "kind")


def filter_fields(fields: dict[str, Any], keep: np.ndarray) -> Events:
    """The events of a mask (E,) bool, from the fields of Events.

    Each column leaves `fields` once it is filtered: if nothing else refers to it, one column at a time is in memory
    twice, not all of them.
    """
    selected: dict[str, Any] = {}
    for name in _COLUMNS:
        column = fields.pop(name)
        selected[name] = None if column is None else fields["memory"].select(column, keep)
        del column
    return Events(**selected, **fields)


def date_range(times: np.ndarray | None) -> list[str]:
    """The fact "2024-05-01 to 2024-06-30" for times (E,) in milliseconds; none without times."""
    if times is None or not len(times):
        return []
    first, last = (str(np.datetime64(int(time), "ms").astype("datetime64[D]")) for time in (times.min(), times.max()))
    return [first if first == last else f"{first} to {last}"]


def factorize(ids: Sequence[Any] | np.ndarray) -> tuple[np.ndarray, Vocab]:
    """Ids (E,) as rows (E,) int32 into the vocabulary of distinct ids, numbered by first appearance."""
    encoded = to_arrow(as_ids(ids), large=True).dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int32, copy=False), Vocab(from_arrow(encoded.dictionary))


def as_weights(weights: Sequence[float] | np.ndarray) -> np.ndarray:
    """Weights (E,) as float32. Raises DataError for values that are not numbers, and for other shapes."""
    try:
        array = np.asarray(weights, dtype=np.float32)
    except (TypeError, ValueError) as e:
        raise DataError(f"weights must be numbers ({e})") from e
    if array.ndim != 1:
        raise DataError(f"weights must be one-dimensional, but their shape is {array.shape}")
    return array


def check_rows(rows: np.ndarray, n: int, what: str) -> None:
    """Raises DataError unless all rows lie in [0, n)."""
    if len(rows) and (rows.min() < 0 or rows.max() >= n):
        raise DataError(f"rows of {what!r} must be in [0, {n}), but range from {rows.min()} to {rows.max()}")
