"""Side tables: features of items or users, one row per id, in any table format.

`feature_columns` decides the type of a column. A column without a name, such as a row index, is ignored. A column of
names (name, title, track_name) gives the items' display names if the events have none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.data.events import Events
from embedrec.data.feature_parquet import from_table
from embedrec.data.features import ID, Features
from embedrec.data.parquet_io import to_arrow
from embedrec.data.vocab import WHOLE, Vocab, as_ids
from embedrec.errors import DataError, did_you_mean
from embedrec.storage.remote import ReadPath
from embedrec.tabular import parse_values
from embedrec.tabular.arrow_columns import display_names
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.code_ids import without_point_zero
from embedrec.tabular.feature_columns import FeatureColumn, Kind
from embedrec.tabular.formats import Batch, Format, JsonLines, RowSource
from embedrec.tabular.guess_columns import (
    column_of_role,
    display_name_column,
    format_columns,
    format_of,
    guess,
    table_suffixes,
)
from embedrec.tabular.read_rows import Plan, casting, check_columns, naming_source, report_bad_rows
from embedrec.tabular.source_files import expand

Role = Literal["item", "user"]
Rows = tuple[RowSource, Format]


@dataclass(frozen=True)
class SideTable:
    """One table, in one file or in several with the same columns.

    sources  the files
    id       the column of ids
    name     the column of display names, "" for none
    kinds    column → type; None guesses the types of all columns
    types    name of a feature → type, in place of the guess
    split    separator of a list that is written as text
    cold     whether to keep ids that occur in no event: cold items and users
    """

    sources: Sequence[Rows]
    id: str
    name: str = ""
    kinds: Mapping[str, Kind] | None = None
    types: Mapping[str, Kind] = field(default_factory=dict)
    split: str = "|"
    cold: bool = False

    def read(self, vocab: Vocab, bad_rows: BadRows, share: float = 1.0) -> tuple[Features, np.ndarray | None]:
        """The features of the ids of `vocab` that occur in the table, followed by those of other ids if `cold`; and
        display names (n,) of all ids of `vocab`.

        share  fraction of the usual batch size, for a memory budget

        Raises DataError for unreadable files, missing columns, columns that cannot be features, and bad rows (unless
        `bad_rows` skips them): no id, a duplicate id, a text in place of a number.
        """
        first, form = self.sources[0]
        header = form.columns(first)
        columns = [c for c in header if c not in (self.id, self.name, "")] if self.kinds is None else list(self.kinds)
        read = [self.id, *([self.name] if self.name else []), *columns]
        rows, parts = _Rows(vocab, cold=self.cold), {c: self._column(c) for c in columns}
        texts: list[Any] = []
        for source, form in self.sources:
            check_columns(read, source, header if source is first else form.columns(source))
            _check_names(columns, source)
            for batch in form.batches(source, read, bad_rows, share):
                with casting(source):
                    at = pa.array(rows.add(batch, self.id, parts, bad_rows))
                    for column, part in parts.items():
                        part.add(batch.columns[column].take(at), column, source)
                if self.name:
                    with naming_source(source):
                        texts += display_names(batch.columns[self.name], self.name).take(at).to_pylist()
        rows_in_table = np.concatenate([np.zeros(0, np.int64), *rows.parts])
        features = {feature_name(column): part.whole() for column, part in parts.items()}
        ids = np.concatenate([vocab.ids, as_ids(list(rows.new))]) if rows.new else vocab.ids
        read_features = from_table(pa.table({ID: to_arrow(ids[rows_in_table]), **features}))
        dates = frozenset(feature_name(column) for column, part in parts.items() if part.dated)
        if not self.name:
            return replace(read_features, dates=dates), None
        named = np.full(len(ids), "", dtype=object)
        named[rows_in_table] = texts
        named_ids = Vocab(read_features.vocab.ids, named[rows_in_table])
        return replace(read_features, vocab=named_ids, dates=dates), named[: len(vocab)]

    def _column(self, column: str) -> FeatureColumn:
        given = self.types.get(feature_name(column), (self.kinds or {}).get(column))
        return FeatureColumn(feature_name(column), given, self.split)

    def names(self) -> list[str]:
        """The names of the features."""
        first, form = self.sources[0]
        columns = form.columns(first) if self.kinds is None else list(self.kinds)
        return [feature_name(c) for c in columns if c not in (self.id, self.name, "")]


def add_side_tables(
    events: Events,
    plan: Plan,
    items: str | Sequence[Rows],
    users: str | Sequence[Rows],
    bad_rows: BadRows,
    types: Mapping[str, Kind],
) -> Events:
    """The events with the features of two tables: files in the format of their suffix, or sources; "" for none.

    types  name of a feature → type; the others are guessed

    The column of ids has the same name as in the events, or a common one ("item_id", "id"). Raises DataError if there
    is none, if the events have no users, and as `SideTable.read` does.
    """
    tables: dict[Role, SideTable] = {}
    if items:
        tables["item"] = side_table(items, "item", plan.item)
    if users:
        if not plan.user:
            given = users if isinstance(users, str) else users[0][0]
            raise DataError(f"features of users were given ({given}), but the events name no user; name it with --user")
        tables["user"] = side_table(users, "user", plan.user)
    names = [name for table in tables.values() for name in table.names()] if types else []
    odd = next((name for name in types if name not in names), None)
    if odd is not None:
        hint = did_you_mean(odd, names) or (
            f"; the features are {format_columns(names)}" if names else "; there are none"
        )
        raise DataError(f"no feature is called {odd!r}{hint}")
    for role, table in tables.items():
        events = add_features(events, role, replace(table, types=types, cold=True), bad_rows)
    return events


def side_table(table: str | ReadPath | Sequence[Rows], role: Role, column: str) -> SideTable:
    """The side table in a file, an archive or a folder, or in sources. Raises DataError if no column can hold ids."""
    sources = _sources(table) if isinstance(table, str | ReadPath) else table
    first, form = sources[0]
    columns = form.columns(first)
    key = column if column in columns else column_of_role(role, None, first, columns) or guess(("id",), columns)
    if not key:
        raise DataError(
            f"{first} has no column of {role} ids; call it {column!r} as in the events "
            f"(its columns are {format_columns(columns)})"
        )
    name = display_name_column(key, columns) or guess(("name", "title"), columns) if role == "item" else ""
    return SideTable(sources, key, name)


def _sources(path: str | ReadPath) -> list[Rows]:
    sources: list[Rows] = []
    for source in expand([str(path)], table_suffixes([str(path)])):
        form = format_of(source)
        sources.append((source, JsonLines(lists=True) if isinstance(form, JsonLines) else form))
    return sources


def add_features(events: Events, role: Role, table: SideTable, bad_rows: BadRows) -> Events:
    """The events with the features of a table, and with its display names if the items have none."""
    if role == "user":
        if events.users is None:
            raise DataError("features of users were given, but the events name no user")
        return replace(events, user_features=table.read(events.users, bad_rows, events.memory.share)[0])
    features, names = table.read(events.items, bad_rows, events.memory.share)
    if names is not None and events.items.names is None:
        events = replace(events, items=Vocab(events.items.ids, names, events.items.counts))
    return replace(events, item_features=features)


def feature_name(column: str) -> str:
    """The name of a feature: the column name without RecBole's type."""
    return column.partition(":")[0]


def _check_names(columns: Sequence[str], source: object) -> None:
    names = [feature_name(column) for column in columns]
    counts = Counter(names)
    for name in names:
        if name == ID:
            raise DataError(f"{source} has a column of features called {name!r}; give it another name")
        if counts[name] > 1:
            raise DataError(f"{source} has two features called {name!r}; rename one")


class _Rows:
    """The rows of a side table to keep, each id once: those of known ids, or all if `cold`.

    new  ids that are not in the vocabulary, in the order of their rows n, n + 1, …
    """

    def __init__(self, vocab: Vocab, *, cold: bool) -> None:
        self.vocab, self.cold = vocab, cold
        self.new: dict[Any, int] = {}
        self.known = to_arrow(vocab.ids)
        self.seen = np.zeros(len(vocab), dtype=bool)
        self.parts: list[np.ndarray] = []  # rows of the vocabulary, in the order of the table

    def add(self, batch: Batch, id_: str, columns: Mapping[str, FeatureColumn], bad_rows: BadRows) -> np.ndarray:
        """The positions (k,) in a batch to keep. Bad rows are reported."""
        ids, problems = parse_values.ids(batch.columns[id_], id_, written=batch.written)
        ids, rows = self._rows(ids)
        bad = np.zeros(len(rows), dtype=bool)
        for mask, _ in problems:
            bad |= mask
        rows[bad] = -1  # values under a mask are undefined
        if self.cold:
            other = pc.is_null(ids).to_numpy(zero_copy_only=False) & ~bad
            if other.any():
                location = f"row {batch.rows[int(np.argmax(other))]}"
                problem = f"{id_} must be a whole number, as the ids of the events are"
                bad_rows.leave_out(batch.source, location, problem, int(other.sum()))
            self._add_new(ids, rows, ~bad & ~other)
        known = np.flatnonzero(rows >= 0)
        _, first = np.unique(rows[known], return_index=True)
        duplicate = np.zeros(len(rows), dtype=bool)
        duplicate[known] = True
        duplicate[known[first]] = False
        before = known[rows[known] < len(self.seen)]
        duplicate[before] |= self.seen[rows[before]]
        invalid = [(id_, mask, problem) for mask, problem in (*problems, (duplicate, f"{id_} occurs twice"))]
        for name, column in columns.items():
            if column.kind == "number" or pa.types.is_floating(batch.columns[name].type):
                wrong = _number_problems(batch.columns[name], name)
                invalid += [(name, mask & (rows >= 0), problem) for mask, problem in wrong]
        kept = np.flatnonzero(report_bad_rows(batch, invalid, bad_rows) & (rows >= 0))
        self.seen = np.pad(self.seen, (0, max(0, len(self.vocab) + len(self.new) - len(self.seen))))
        self.seen[rows[kept]] = True
        self.parts.append(rows[kept])
        return kept

    def _add_new(self, ids: Any, rows: np.ndarray, sound: np.ndarray) -> None:
        """Assign rows after the vocabulary's to the sound ids (b,) that it lacks."""
        unknown = np.flatnonzero(sound & (rows < 0))
        next_row = len(self.vocab)
        for at, one in zip(unknown.tolist(), ids.take(pa.array(unknown)).to_pylist(), strict=True):
            rows[at] = self.new.setdefault(one, next_row + len(self.new))

    def _rows(self, ids: Any) -> tuple[Any, np.ndarray]:
        """Ids (b,) in the type of the vocabulary, null where that is impossible, and their rows, −1 where unknown, as
        in `Vocab.rows_of`."""
        if self.vocab.integer and not pa.types.is_integer(ids.type):
            whole = without_point_zero(ids)
            ids, _ = parse_values.cast(pc.if_else(pc.match_substring_regex(whole, WHOLE), whole, None), pa.int64())
        if not self.vocab.integer:
            ids = pc.cast(ids, pa.string())
        rows = pc.index_in(ids, value_set=self.known, skip_nulls=True)
        if not self.vocab.integer and rows.null_count:
            plain = without_point_zero(ids)
            ids = pc.if_else(pc.is_valid(rows), ids, plain)
            rows = pc.coalesce(rows, pc.index_in(plain, value_set=self.known, skip_nulls=True))
        return ids, np.array(pc.fill_null(rows, -1).to_numpy(zero_copy_only=False))


def _number_problems(column: Any, name: str) -> parse_values.Problems:
    """Masks of texts that are not numbers and of infinite numbers; missing values are neither."""
    numbers, (_, wrong) = parse_values.floats(column, name)
    return [wrong, (np.isinf(numbers), f"{name} must be a finite number")]
