"""Sessions: ordered lists of items in two flat arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedrec.data.events import DAY, Events, check_rows, date_range, factorize
from embedrec.data.feature_parquet import load_features, save_features
from embedrec.data.features import Features
from embedrec.data.offsets import check_offsets
from embedrec.data.parquet_io import load_ids, load_vocab, save_ids, save_vocab
from embedrec.data.times import as_times
from embedrec.data.vocab import Ids, Vocab, as_ids
from embedrec.errors import DataError
from embedrec.progress import Report, warn_notes
from embedrec.storage import artifacts
from embedrec.storage.memory_budget import count_rows
from embedrec.text import FIRST_ROWS, Described, Summary, counted

if TYPE_CHECKING:
    import scipy.sparse as sp


@dataclass(frozen=True, eq=False, repr=False)
class Sessions(Described):
    """S sessions of E events; session s is `items[offsets[s]:offsets[s + 1]]`, in order of time.

    offsets  (S+1,) int64, from 0 to E, ascending
    items    (E,) int32 rows into `vocab`
    vocab    the items, with counts
    ids      (S,) session ids, int64 or object array of str
    times    (E,) int64 milliseconds since 1970-01-01 UTC, or None
    weights  (E,) float32, or None
    kinds    (E,) int32 rows into `kind_names`, or None
    users    (S,) user ids, or None
    kind_names  names of the kinds (click, buy …), or None
    item_features, user_features  features of items and users, or None; their ids need not be those that occur here

    Raises DataError when lengths differ or rows are out of range.

    >>> from embedrec import Sessions
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["jam"]])
    >>> sessions
    Sessions(2 sessions, 3 events, 2 items)
    >>> sessions.vocab.ids[sessions[0]].tolist()
    ['bread', 'jam']
    """

    offsets: np.ndarray
    items: np.ndarray
    vocab: Vocab
    ids: Ids
    times: np.ndarray | None = None
    weights: np.ndarray | None = None
    kinds: np.ndarray | None = None
    users: Ids | None = None
    kind_names: Ids | None = None
    item_features: Features | None = None
    user_features: Features | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "offsets", np.asarray(self.offsets, dtype=np.int64))
        object.__setattr__(self, "items", np.asarray(self.items, dtype=np.int32))
        object.__setattr__(self, "ids", as_ids(self.ids))
        if self.users is not None:
            object.__setattr__(self, "users", as_ids(self.users))
        if self.times is not None:
            given = np.asarray(self.times)
            times = given if given.dtype == np.int64 else as_times(given, "times of sessions")
            object.__setattr__(self, "times", times)
        for name, dtype in _EVENT_COLUMNS.items():
            if getattr(self, name) is not None:
                object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=dtype))
        if self.items.ndim != 1:
            raise DataError(f"items of sessions must be one-dimensional, but their shape is {self.items.shape}")
        check_offsets(self.offsets, len(self.items), "sessions", "events")
        events = len(self.items)
        for name, size in (("ids", len(self)), ("users", len(self)), *((c, events) for c in _EVENT_COLUMNS)):
            column = getattr(self, name)
            if column is not None and column.shape != (size,):
                raise DataError(f"{name!r} of these sessions must have {size} values, but has shape {column.shape}")
        check_rows(self.items, len(self.vocab), "items")
        if self.kind_names is not None:
            object.__setattr__(self, "kind_names", as_ids(self.kind_names))
            check_rows(np.empty(0) if self.kinds is None else self.kinds, len(self.kind_names), "kinds")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def _summary(self) -> Summary:
        few = range(min(len(self), FIRST_ROWS))
        first = {
            "session": self.ids[: len(few)].tolist(),
            "events": self.lengths[: len(few)].tolist(),
            "items": [", ".join(self.vocab.labels(self[s][:_SHOWN])) + "…" * (len(self[s]) > _SHOWN) for s in few],
        }
        counts = counted(sessions=len(self), events=len(self.items), items=len(self.vocab))
        extra = [name for name in ("users", "weights", "kinds") if getattr(self, name) is not None]
        return Summary([*counts, *date_range(self.times), *extra], first, len(self) - len(few))

    @property
    def lengths(self) -> np.ndarray:
        """Events a session: (S,) int64."""
        return np.diff(self.offsets)

    @property
    def session_of(self) -> np.ndarray:
        """The session of each event: (E,) int64."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def days_ago(self) -> np.ndarray | None:
        """Age in days of each event relative to the last of all events: (E,) float64; None without times."""
        if self.times is None:
            return None
        return np.asarray((self.times.max(initial=np.iinfo(np.int64).min) - self.times) / DAY)

    @property
    def position_of(self) -> np.ndarray:
        """The position of each event in its session, from 0: (E,) int64."""
        return np.arange(len(self.items)) - np.repeat(self.offsets[:-1], self.lengths)

    def __getitem__(self, s: int) -> np.ndarray:
        """Rows of the items of session s: (length,) int32."""
        return self.items[self.offsets[s] : self.offsets[s + 1]]

    @classmethod
    def of_lists(cls, lists: Sequence[Iterable[Any]], vocab: Vocab | None = None) -> Sessions:
        """Sessions from lists of item ids; session ids are 0, 1, …

        With a vocabulary, unknown ids are left out; without one, items are numbered by first appearance.

        >>> Sessions.of_lists([["bread", "jam"], ["jam"]]).items.tolist()
        [0, 1, 1]
        """
        item_lists = _check_lists(lists)
        flat = [i for items in item_lists for i in items]
        lengths = np.array([len(items) for items in item_lists], dtype=np.int64)
        if vocab is None:
            rows, vocab = factorize(flat)
            vocab = vocab.with_counts(np.bincount(rows, minlength=len(vocab)))
        else:
            rows = vocab.rows_of(flat).astype(np.int32)
        session = np.repeat(np.arange(len(lengths)), lengths)[rows >= 0]
        return cls(_offsets(session, len(lengths)), rows[rows >= 0], vocab, np.arange(len(lengths)))

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        session: str | None = None,
        item: str | None = None,
        user: str | None = None,
        time: str | None = None,
        weight: str | None = None,
        threads: int = 1,
        report: Report = warn_notes,
        **options: Any,
    ) -> Sessions:
        """Sessions of a data frame with a row an event, as `embedrec prepare table` makes them of a file.

        frame    a pandas.DataFrame, or an object with an Arrow C stream: a polars.DataFrame, a pyarrow.Table or
                 RecordBatchReader, a DuckDB relation. Levels of a pandas index count as columns; NaN, NaT and NA are
                 missing values; categories are their values; times without a zone are UTC
        session, item, user, time, weight  the columns; None guesses from common names ("session_id", "sku",
                 "timestamp" …), "-" means none. Without sessions, a user is a session; without times, the order of
                 rows counts
        threads  2 or more code ids while the next rows are read
        report   "columns" with the guesses, "progress" with `done` and `total` bytes, "note" with a message; by
                 default notes are Python warnings
        options  columns and types: name, kind, order, time_unit, time_format, id_type, missing, keep_users and
                 feature_types (see `TableColumns`); sessions: by and gap (see `Regroup`); filters: kinds, min_rating,
                 days, min_tracks, duplicates, duplicates_at, top, min_count, min_length (2 unless given), max_length,
                 long and rounds (see `Filters`); on_bad_row, "fail" or "skip"; item_features and user_features, data
                 frames with a row an id

        Raises DataError for a missing column, times of an ambiguous unit, and bad rows unless they are skipped;
        SettingsError for an unknown option and a wrong value.

        >>> import pandas as pd
        >>> visits = pd.DataFrame({"visit": [1, 1, 2, 2], "sku": ["bread", "jam", "jam", "bread"]})
        >>> Sessions.from_frame(visits, session="visit", item="sku").vocab.ids.tolist()
        ['bread', 'jam']
        """
        from embedrec.tabular.frame_table import frame_events

        columns = {"session": session, "item": item, "user": user, "time": time, "weight": weight}
        return sessionize(frame_events(frame, {**columns, **options}, threads=threads, report=report))

    def to_frame(self) -> Any:
        """A pandas.DataFrame with a row an event, in order; columns as of `to_arrow`.

        `Sessions.from_frame` of it gives equal sessions, if these hold every item of their vocabulary, numbered by
        count, and no session is empty. `min_length=1` keeps sessions of one event, `kind="kind"` reads kinds,
        `id_type="text"` keeps ids such as "5.0"; features are no part of a frame of events.

        Raises SettingsError, with the command that installs it, if pandas is missing.

        >>> Sessions.of_lists([["bread", "jam"], ["jam"]]).to_frame()["item"].tolist()
        ['bread', 'jam', 'jam']
        """
        from embedrec.data.arrow_tables import to_pandas

        return to_pandas(self.to_arrow())

    def to_arrow(self) -> Any:
        """A pyarrow.Table with a row an event, in order, for polars.from_arrow, DuckDB and others.

        Columns: session, item (ids, int64 or large_string) and, where these sessions have them, item_name (null for
        missing), user, time (timestamp in milliseconds, UTC), weight (float32), kind.

        >>> Sessions.of_lists([["bread", "jam"], ["jam"]]).to_arrow().column_names
        ['session', 'item']
        """
        import pyarrow as pa

        from embedrec.data.arrow_tables import id_column, name_column

        items, session = pa.array(self.items), pa.array(self.session_of)
        columns = {"session": id_column(self.ids).take(session), "item": id_column(self.vocab.ids).take(items)}
        if self.vocab.names is not None:
            columns["item_name"] = name_column(self.vocab).take(items)
        if self.users is not None:
            columns["user"] = id_column(self.users).take(session)
        if self.times is not None:
            columns["time"] = pa.array(self.times).view(pa.timestamp("ms", tz="UTC"))
        if self.weights is not None:
            columns["weight"] = pa.array(self.weights)
        if self.kinds is not None and self.kind_names is not None:
            columns["kind"] = id_column(self.kind_names).take(pa.array(self.kinds))
        return pa.table(columns)

    def reindex(self, vocab: Vocab) -> Sessions:
        """The same sessions in another vocabulary; unknown items are left out.

        >>> from embedrec import Vocab
        >>> Sessions.of_lists([["bread", "jam"], ["jam"]]).reindex(Vocab(["jam"])).lengths.tolist()
        [1, 1]
        """
        if vocab is self.vocab:
            return self
        if len(self.items) < len(self.vocab):  # for few histories, look up only their items
            new = vocab.rows_of(self.vocab.ids[self.items])
        else:
            new = vocab.rows_of(self.vocab.ids)[self.items]
        return self.renumber(new, vocab)

    def renumber(self, rows: np.ndarray, vocab: Vocab) -> Sessions:
        """The same sessions with other items: rows (E,) of a vocabulary; events with negative rows are left out."""
        known = rows >= 0
        return replace(self.filter_events(known), items=rows[known].astype(np.int32), vocab=vocab)

    def filter_events(self, keep: np.ndarray) -> Sessions:
        """The same sessions with the events of a mask (E,) bool."""
        session = self.session_of[keep]
        columns: dict[str, Any] = {
            c: None if getattr(self, c) is None else getattr(self, c)[keep] for c in _EVENT_COLUMNS
        }
        return replace(self, offsets=_offsets(session, len(self)), items=self.items[keep], **columns)

    def take(self, sessions: np.ndarray, lengths: np.ndarray | None = None) -> Sessions:
        """The sessions at these positions (m,) int64, in this order; with `lengths` (m,), only their first events.

        >>> Sessions.of_lists([["bread", "jam"], ["jam"]]).take(np.array([1])).ids.tolist()
        [1]
        """
        lengths = self.lengths[sessions] if lengths is None else lengths
        starts = np.repeat(self.offsets[sessions] - np.cumsum(lengths) + lengths, lengths)
        events = starts + np.arange(lengths.sum())
        columns = {c: None if getattr(self, c) is None else getattr(self, c)[events] for c in _EVENT_COLUMNS}
        return Sessions(
            np.concatenate([[0], np.cumsum(lengths)]),
            self.items[events],
            self.vocab,
            self.ids[sessions],
            users=None if self.users is None else self.users[sessions],
            kind_names=self.kind_names,
            item_features=self.item_features,
            user_features=self.user_features,
            **columns,
        )

    def drop_unused_items(self) -> Sessions:
        """The same sessions with a vocabulary of the items that occur, by descending count, ties by id."""
        order, counts = rank_by_count(self.items, self.vocab)
        new = np.full(len(self.vocab), -1, dtype=np.int32)
        new[order] = np.arange(len(order), dtype=np.int32)
        return replace(self, items=new[self.items], vocab=self.vocab.take(order).with_counts(counts))

    def has_repeats(self) -> bool:
        """Whether a session contains an item twice, so that users return to seen items."""
        pairs = self.session_of * max(len(self.vocab), 1) + self.items
        return len(np.unique(pairs)) < len(self.items)

    def matrix(self) -> sp.csr_matrix:
        """Play counts: (S, n) CSR float32, one row a session, indices sorted, no duplicates."""
        import scipy.sparse as sp

        ones = np.ones(len(self.items), dtype=np.float32)
        matrix = sp.csr_matrix((ones, self.items.copy(), self.offsets.copy()), (len(self), len(self.vocab)))
        matrix.sum_duplicates()
        return matrix

    def save(self, folder: Path, about: dict[str, Any]) -> None:
        """Write the artifact `folder`, kind "sessions".

        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     Sessions.of_lists([["bread", "jam"], ["jam"]]).save(Path(folder) / "baskets", {})
        ...     Sessions.load(Path(folder) / "baskets")
        Sessions(2 sessions, 3 events, 2 items)
        """
        with artifacts.writing(folder, "sessions", about) as draft:
            self.write(draft)

    def write(self, draft: artifacts.Draft, part: str = "") -> None:
        """Write the files of these sessions into an artifact; `part` is a prefix of their names, such as "test_"."""
        draft.array(f"{part}offsets", self.offsets)
        draft.array(f"{part}items", self.items)
        save_ids(self.ids, draft.path(f"{part}sessions.parquet"))
        save_vocab(self.vocab, draft.path(f"{part}vocab.parquet"))
        for name in _EVENT_COLUMNS:
            if getattr(self, name) is not None:
                draft.array(f"{part}{name}", getattr(self, name))
        if self.users is not None:
            save_ids(self.users, draft.path(f"{part}users.parquet"))
        if self.kind_names is not None:
            save_ids(self.kind_names, draft.path(f"{part}kinds.parquet"))
        for name in _FEATURES:
            if getattr(self, name) is not None:
                save_features(getattr(self, name), draft.path(f"{part}{name}.parquet"))

    @classmethod
    def load(cls, source: artifacts.Artifact | str | Path, part: str = "", *, named: bool = True) -> Sessions:
        """The sessions of an artifact or of its folder.

        Events that were appended are joined first, see `data.joined`.

        named  False replaces session ids by 0, 1, … and loads neither users nor features: for counting items when
               there are too many sessions to hold their ids in memory

        Raises ArtifactError when it is not a sessions artifact, or its files are inconsistent.
        """
        given = artifacts.as_artifact(source, "sessions")
        if part:
            return cls._read(given, part, named=named)
        from embedrec.data.joined import joined

        with joined(given, sessionize) as artifact:
            return cls._read(artifact, part, named=named)

    @classmethod
    def _read(cls, artifact: artifacts.Artifact, part: str, *, named: bool) -> Sessions:
        with artifacts.opening(artifact, "prepare the data again"):

            def ids(name: str) -> Ids | None:
                return load_ids(artifact.path(name)) if name in artifact else None

            columns: dict[str, Any] = {
                c: artifact.array(f"{part}{c}", t) for c, t in _EVENT_COLUMNS.items() if f"{part}{c}.npy" in artifact
            }
            for name in _FEATURES:
                if named and f"{part}{name}.parquet" in artifact:
                    columns[name] = load_features(artifact.path(f"{part}{name}.parquet"))
            offsets = artifact.array(f"{part}offsets", "int64")
            return cls(
                offsets,
                artifact.array(f"{part}items", "int32"),
                load_vocab(artifact.path(f"{part}vocab.parquet")),
                load_ids(artifact.path(f"{part}sessions.parquet")) if named else np.arange(max(len(offsets) - 1, 0)),
                users=ids(f"{part}users.parquet") if named else None,
                kind_names=ids(f"{part}kinds.parquet"),
                **columns,
            )


_EVENT_COLUMNS = {"times": "int64", "weights": "float32", "kinds": "int32"}
_SHOWN = 6  # items of a session in HTML
_FEATURES = ("item_features", "user_features")


def sessionize(events: Events) -> Sessions:
    """The sessions of events, without empty sessions and items that do not occur.

    Items are numbered by descending count, ties by id, so that the numbering does not depend on the order of files.
    """
    lengths = count_rows(events.session, len(events.sessions))
    present = np.flatnonzero(lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths[present])])
    order, counts = rank_by_count(events.item, events.items)
    new = np.zeros(len(events.items), dtype=np.int32)
    new[order] = np.arange(len(order), dtype=np.int32)
    users = None
    if events.user is not None and events.users is not None:
        users = events.memory.reindex(events.user[offsets[:-1]], events.users.ids)
    names = events.items.names
    return Sessions(
        offsets,
        events.memory.reindex(events.item, new),
        Vocab.from_unique(events.items.ids[order], None if names is None else names[order], counts),
        events.memory.reindex(present, events.sessions.ids),
        times=events.time,
        weights=events.weight,
        kinds=events.kind,
        users=users,
        kind_names=None if events.kinds is None else events.kinds.ids,
        item_features=events.item_features,
        user_features=events.user_features,
    )


def _check_lists(lists: Any) -> list[list[Any]]:
    """Sessions as lists of item ids. Raises DataError for strings or mappings instead of lists."""
    if isinstance(lists, str | bytes | Mapping) or not isinstance(lists, Iterable):
        raise DataError(f"sessions must be a list of lists of items, but are of type {type(lists).__name__}")
    result = []
    for number, items in enumerate(lists):
        if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
            raise DataError(
                f"a session must be a list of items, but session {number} is {str(items)[:40]!r}, of type "
                f"{type(items).__name__}; write [{str(items)[:40]!r}] for a session of one item"
            )
        result.append(list(items))
    return result


def check_sessions(sessions: Any) -> None:
    """Raises DataError for anything but Sessions."""
    if not isinstance(sessions, Sessions):
        raise DataError(
            f"a model is trained on Sessions, not on {type(sessions).__name__}; make them with "
            "Sessions.of_lists(lists) or sessionize(events)"
        )


def rank_by_count(items: np.ndarray, vocab: Vocab) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the vocabulary that occur in `items` (E,), by descending count, ties by id; and their counts."""
    return rank_counts(count_rows(items, len(vocab)), vocab)


def rank_counts(counts: np.ndarray, vocab: Vocab) -> tuple[np.ndarray, np.ndarray]:
    """The rows with a count (n,) above 0, by descending count, ties by id; and their counts."""
    used = np.flatnonzero(counts)
    order = used[np.lexsort((vocab.ids[used], -counts[used]))]
    return order, counts[order]


def _offsets(session: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.bincount(session, minlength=count))])
