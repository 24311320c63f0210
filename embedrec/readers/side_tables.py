"""Side tables: what is known of items or users, one row an id, in any format of tables.

Numbers become numeric features, texts categorical ones, and lists (of Parquet and JSON, or texts split at "|") lists;
booleans are 0 and 1, dates days since 1970. Only ids that occur in the events are kept, and no column without a name,
which is how an index of rows is written. A column that is named as names are (name, title, track_name) gives the items'
display names where the events have none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.data.arrow import to_arrow
from embedrec.data.events import DAY, Events
from embedrec.data.feature_files import from_table
from embedrec.data.features import ID, Features
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.readers import values
from embedrec.readers.bad_rows import BadRows
from embedrec.readers.columns import SUFFIXES, column_for, form_of, guess, listed, name_beside
from embedrec.readers.files import Source, expand
from embedrec.readers.formats import Batch, Format, JsonLines
from embedrec.readers.rows import Plan, check_columns, without_bad

Role = Literal["item", "user"]
Kind = Literal["number", "text", "list"]


@dataclass(frozen=True)
class SideTable:
    """One table, in one file or several of the same columns.

    sources  the files
    id       the column of ids
    name     the column of display names, "" for none
    kinds    column → what it is; None guesses, and takes all columns
    split    what stands between the words of a list that is a text
    """

    sources: Sequence[tuple[Source, Format]]
    id: str
    name: str = ""
    kinds: Mapping[str, Kind] | None = None
    split: str = "|"

    def read(self, vocab: Vocab, bad_rows: BadRows) -> tuple[Features, np.ndarray | None]:
        """The features of the ids of `vocab` that stand in the table, and display names (n,) of all ids of `vocab`.

        Raises DataError for files that cannot be read, columns that are not there or are no features, and for bad rows
        (as `bad_rows` says): no id, an id that stands twice, a text where a number must stand.
        """
        first, form = self.sources[0]
        there = form.columns(first)
        columns = [c for c in there if c not in (self.id, self.name, "")] if self.kinds is None else list(self.kinds)
        read = [self.id, *([self.name] if self.name else []), *columns]
        rows, parts = _Rows(vocab), {c: _Column((self.kinds or {}).get(c), self.split) for c in columns}
        names: np.ndarray | None = np.full(len(vocab), "", dtype=object) if self.name else None
        for source, form in self.sources:
            check_columns(read, source, form.columns(source))
            _check_names(columns, source)
            for batch in form.batches(source, read, bad_rows):
                at = pa.array(rows.add(batch, self.id, parts, bad_rows))
                if names is not None:
                    texts = pc.fill_null(pc.cast(batch.columns[self.name], pa.string()), "").take(at)
                    names[rows.parts[-1]] = texts.to_pylist()
                for column, part in parts.items():
                    part.add(batch.columns[column].take(at), column, source)
        found = vocab.ids[np.concatenate([np.zeros(0, np.int64), *rows.parts])]
        features = {plain_name(column): part.whole() for column, part in parts.items()}
        return from_table(pa.table({ID: to_arrow(found), **features})), names


def with_side_tables(events: Events, plan: Plan, items: str, users: str, bad_rows: BadRows) -> Events:
    """The events with the features of two files, "" for none, in the format of their suffix.

    The column of ids is called as in the events, or as ids of items or users are ("item_id", "id"). Raises DataError
    where there is none, when the events have no users, and as `SideTable.read` does.
    """
    if items:
        events = with_features(events, "item", side_table(items, "item", plan.item), bad_rows)
    if users:
        if not plan.user:
            raise DataError(f"features of users were given ({users}), but the events name no user; name it with --user")
        events = with_features(events, "user", side_table(users, "user", plan.user), bad_rows)
    return events


def side_table(path: str | Path, role: Role, column: str) -> SideTable:
    """The side table in a file, an archive or a folder. Raises DataError where no column can be that of the ids."""
    sources = []
    for source in expand([path], tuple(SUFFIXES)):
        form = form_of(source)
        sources.append((source, JsonLines(lists=True) if isinstance(form, JsonLines) else form))
    first, form = sources[0]
    columns = form.columns(first)
    key = column if column in columns else column_for(role, None, first, columns) or guess(("id",), columns)
    if not key:
        raise DataError(
            f"{first} has no column of {role} ids; call it {column!r} as in the events (there are {listed(columns)})"
        )
    name = name_beside(key, columns) or guess(("name", "title"), columns) if role == "item" else ""
    return SideTable(sources, key, name)


def with_features(events: Events, role: Role, table: SideTable, bad_rows: BadRows) -> Events:
    """The events with the features of a table, and the items' names where they have none."""
    if role == "user":
        if events.users is None:
            raise DataError("features of users were given, but the events name no user")
        return replace(events, user_features=table.read(events.users, bad_rows)[0])
    features, names = table.read(events.items, bad_rows)
    if names is not None and events.items.names is None:
        events = replace(events, items=Vocab(events.items.ids, names, events.items.counts))
    return replace(events, item_features=features)


def plain_name(column: str) -> str:
    """The name of a feature: that of its column, without RecBole's type."""
    return column.partition(":")[0]


def _check_names(columns: Sequence[str], source: Source) -> None:
    names = [plain_name(column) for column in columns]
    for name in names:
        if name == ID:
            raise DataError(f"{source} has a column of features called {name!r}; give it another name")
        if names.count(name) > 1:
            raise DataError(f"{source} has two features called {name!r}; rename one")


class _Rows:
    """Which rows of a side table are kept: those of known ids, each once."""

    def __init__(self, vocab: Vocab) -> None:
        self.vocab = vocab
        self.known = to_arrow(vocab.ids)
        self.seen = np.zeros(len(vocab), dtype=bool)
        self.parts: list[np.ndarray] = []  # rows of the vocabulary, in the order of the table

    def add(self, batch: Batch, id_: str, columns: Mapping[str, _Column], bad_rows: BadRows) -> np.ndarray:
        """The places (k,) of a batch that are kept; bad rows are handed over."""
        ids, problems = values.ids(batch.columns[id_], id_)
        rows = self._rows(ids)
        for mask, _ in problems:
            rows[mask] = -1  # what stands under a mask means nothing
        known = np.flatnonzero(rows >= 0)
        _, first = np.unique(rows[known], return_index=True)
        twin = np.zeros(len(rows), dtype=bool)
        twin[known] = True
        twin[known[first]] = False
        twin[known] |= self.seen[rows[known]]
        found = [(id_, mask, problem) for mask, problem in (*problems, (twin, f"{id_} stands twice"))]
        for name, column in columns.items():
            if column.kind == "number" or pa.types.is_floating(batch.columns[name].type):
                wrong = _wrong_numbers(batch.columns[name], name)
                found += [(name, mask & (rows >= 0), problem) for mask, problem in wrong]
        kept = np.flatnonzero(without_bad(batch, found, bad_rows) & (rows >= 0))
        self.seen[rows[kept]] = True
        self.parts.append(rows[kept])
        return kept

    def _rows(self, ids: Any) -> np.ndarray:
        """Rows (b,) of ids in the vocabulary, −1 where unknown; "12" is 12 where the vocabulary holds numbers."""
        if self.vocab.integer and not pa.types.is_integer(ids.type):
            whole = pc.replace_substring_regex(ids, r"\.0+$", "")
            ids, _ = values.cast(pc.if_else(pc.match_substring_regex(whole, values.WHOLE), whole, None), pa.int64())
        if not self.vocab.integer:
            ids = pc.cast(ids, pa.string())
        rows = pc.index_in(ids, value_set=self.known, skip_nulls=True)
        return np.array(pc.fill_null(rows, -1).to_numpy(zero_copy_only=False))


class _Column:
    """One column: its parts as numbers, texts or lists of texts, and what it is in the end."""

    def __init__(self, kind: Kind | None, split: str) -> None:
        self.kind = kind
        self.split = split
        self.parts: list[Any] = []

    def add(self, part: Any, name: str, source: Source) -> None:
        """Keep the values of a batch; raises DataError for a type that is no feature."""
        if self.kind == "number":
            part = pa.array(values.floats(part, name)[0].astype(np.float32))
        elif self.kind == "list" and not _is_list(part.type):
            part = self._split(pc.cast(part, pa.string()))
        elif self.kind == "text":
            part = pc.cast(part, pa.string())
        else:
            part = _plain(part, name, source)
        self.parts.append(part)

    def whole(self) -> Any:
        """All parts as one Arrow array of float32, string or list of string."""
        kinds = {part.type for part in self.parts}
        if any(map(_is_list, kinds)) or self.kind == "list":
            lists = [part if _is_list(part.type) else self._split(part) for part in self.parts]
            return pa.chunked_array(lists, pa.list_(pa.string())).combine_chunks()
        if not any(map(_is_text, kinds)) and self.kind != "text":
            numbers = [pc.cast(part, pa.float32(), safe=False) for part in self.parts]
            return pa.chunked_array(numbers, pa.float32()).combine_chunks()
        parts = [pc.cast(part, pa.string()) for part in self.parts]
        texts = pa.chunked_array(parts, pa.string()).combine_chunks()
        texts = pc.utf8_trim_whitespace(texts)
        texts = pc.if_else(pc.equal(texts, ""), None, texts)
        if self.kind is None:
            given = texts.drop_null()
            if pc.all(pc.match_substring_regex(given, values.NUMBER)).as_py():
                numbers, wrong = values.cast(texts, pa.float64())
                narrow = pc.cast(numbers, pa.float32(), safe=False)
                if not wrong.any() and pc.all(pc.is_finite(narrow)).as_py():
                    return narrow
            if pc.any(pc.match_substring(given, self.split)).as_py():
                return self._split(texts)
        return texts

    def _split(self, texts: Any) -> Any:
        return _words(pc.split_pattern(pc.cast(texts, pa.string()), self.split))


def _plain(part: Any, name: str, source: Source) -> Any:
    """Any column as float64, string, list of string, or nulls."""
    kind = part.type
    if _is_list(kind):
        return _words(pc.cast(part, pa.list_(pa.string())))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        stamps = pc.cast(pc.cast(part, pa.timestamp("ms"), safe=False), pa.int64())
        return pc.divide(pc.cast(stamps, pa.float64(), safe=False), float(DAY))  # days since 1970
    if _is_text(kind):
        return pc.cast(part, pa.string())
    if pa.types.is_boolean(kind):
        return pc.cast(pc.cast(part, pa.int8()), pa.float64())
    if _is_number(kind) or pa.types.is_null(kind):
        return pc.cast(part, pa.float64(), safe=False)
    raise DataError(f"the column {name!r} of {source} holds {kind}, but a feature is a number, a text or a list")


def _words(lists: Any) -> Any:
    """Lists of texts without spaces around them, empty ones left out."""
    words = pc.utf8_trim_whitespace(lists.flatten())
    rows = pc.list_parent_indices(lists).to_numpy()
    good = np.flatnonzero(pc.fill_null(pc.not_equal(words, ""), False).to_numpy(zero_copy_only=False))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(rows[good], minlength=len(lists)))])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), words.take(pa.array(good)))


def _wrong_numbers(column: Any, name: str) -> values.Problems:
    """What is no number, or infinite; a missing one is none of these."""
    numbers, (_, wrong) = values.floats(column, name)
    with np.errstate(over="ignore"):
        narrow = numbers.astype(np.float32)
    return [wrong, (np.isinf(narrow), f"{name} must be a finite number")]


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
