"""Tables of sessions in the layout of session papers (GRU4Rec, session-rec): SessionId, ItemId, Time or pos.

The test part is another such table, or a table of prefixes with the next item of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedrec.data.events import Events, factorize
from embedrec.data.parquet_io import from_arrow
from embedrec.data.sessions import Sessions, sessionize
from embedrec.data.vocab import Ids, as_texts, unify_ids
from embedrec.errors import DataError
from embedrec.readers.table import Table
from embedrec.splitting.holdout import HeldOut
from embedrec.tabular import parse_values
from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.code_ids import IdType, without_point_zero
from embedrec.tabular.decompress import without_packing
from embedrec.tabular.feature_columns import Kind
from embedrec.tabular.formats import Parquet
from embedrec.tabular.guess_columns import FormatName, table_suffixes
from embedrec.tabular.read_rows import ValueFormats, report_bad_rows
from embedrec.tabular.read_settings import ReadSettings
from embedrec.tabular.source_files import Source, expand

_PREFIX, _TARGET = "prefix", "target"


@dataclass(frozen=True)
class SessionTables(ValueFormats):
    """A table with a session, an item and a time or position per row; guesses of columns ignore case.

    session, item, time  columns; None guesses (SessionId, ItemId, Time), "-" means no time
    order      column of positions; None guesses (pos) if there is no time
    format     "auto" uses the suffix; .txt files are delimited text, as in GRU4Rec
    item_features, feature_types  as in `Table`
    """

    session: str | None = None
    item: str | None = None
    time: str | None = None
    order: str | None = None
    format: FormatName = "auto"
    item_features: str = ""
    feature_types: dict[str, Kind] = field(default_factory=dict)

    def read(self, paths: Sequence[str | Path], settings: ReadSettings) -> Events:
        """The rows of all files as events, see `Table.read`."""
        return self._table(paths, self.item_features).read(paths, settings)

    def read_test(self, path: str | Path, settings: ReadSettings) -> HeldOut:
        """The held-out sessions of a test file.

        A table in the layout of the training part gives whole sessions. A Parquet table of the columns `prefix` (lists
        of item ids) and `target` gives sessions with the same test cases, see `sessions_from_prefixes`.

        Raises DataError for unreadable files, and for bad rows (unless they are skipped).
        """
        sources = expand([path], table_suffixes([path]), any_file=self._format([path]) != "auto")
        first = sources[0]
        if first.suffix not in (".parquet", ".pq") or not {_PREFIX, _TARGET} <= {*Parquet().columns(first)}:
            whole = sessionize(self._table([path]).read([path], settings))
            return HeldOut(whole, np.zeros(len(whole), dtype=np.int64))
        parts = [_prefixes(source, settings.bad_rows, self.id_type, settings.memory.share) for source in sources]
        lengths, items, targets = (np.concatenate(unify_ids(*column)) for column in zip(*parts, strict=True))
        if not len(targets):
            raise DataError(f"no row of {path} can be used; check the file")
        return sessions_from_prefixes(lengths, items, targets)

    def _format(self, paths: Sequence[str | Path]) -> FormatName:
        texts = all(without_packing(str(path)).lower().endswith(".txt") for path in paths)
        return "csv" if self.format == "auto" and texts else self.format

    def _table(self, paths: Sequence[str | Path], item_features: str = "") -> Table:
        return Table(
            self.session,
            self.item,
            None,
            self.time,
            "-",
            self.order,
            name="-",
            format=self._format(paths),
            **self.value_formats,
            keep_users=False,
            item_features=item_features,
            feature_types=self.feature_types if item_features else {},
        )


def sessions_from_prefixes(lengths: np.ndarray, items: Ids, targets: Ids) -> HeldOut:
    """Sessions with exactly the test cases of a table of R prefixes; their ids are test-1, test-2, …

    lengths  (R,) int64 items of each prefix, 1 or more
    items    (E,) concatenated item ids of all prefixes
    targets  (R,) ids of the next items

    A row continues the row before if it is that row without its last item, which is its target. A chain of such rows is
    one session: the first row with its target. `given` is the length of the shortest prefix of the chain, or 0 if that
    is 1. Predicting the item after the first p items, for every p from max(given, 1), reproduces the rows.
    """
    codes, vocab = factorize(np.concatenate(unify_ids(items, targets)))
    prefix, target = codes[: len(items)], codes[len(items) :]
    starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]  # (R,)
    linked = np.zeros(len(lengths), dtype=bool)  # whether a row continues the row before
    linked[1:] = (lengths[1:] == lengths[:-1] - 1) & (target[1:] == prefix[starts[:-1] + lengths[:-1] - 1])
    rows = np.flatnonzero(linked)
    owner = np.repeat(np.arange(len(rows)), lengths[rows])
    place = np.arange(len(owner)) - (np.cumsum(lengths[rows]) - lengths[rows])[owner]
    differs = prefix[starts[rows][owner] + place] != prefix[starts[rows - 1][owner] + place]
    linked[rows[np.unique(owner[differs])]] = False

    first = np.flatnonzero(~linked)  # (S,) first rows of sessions
    last = np.concatenate([first[1:], [len(lengths)]])[: len(first)] - 1
    offsets = np.concatenate([[0], np.cumsum(lengths[first] + 1)])
    owner = np.repeat(np.arange(len(first)), lengths[first] + 1)
    place = np.arange(offsets[-1]) - offsets[:-1][owner]
    inside = place < lengths[first][owner]
    events = np.empty(offsets[-1], dtype=np.int32)
    events[inside] = prefix[(starts[first][owner] + place)[inside]]
    events[~inside] = target[first]
    shortest = lengths[last]
    ids = np.array([f"test-{s}" for s in range(1, len(first) + 1)], dtype=object)
    sessions = Sessions(offsets, events, vocab, ids).drop_unused_items()
    return HeldOut(sessions, np.where(shortest > 1, shortest, 0))


def _prefixes(source: Source, bad_rows: BadRows, kind: IdType, share: float) -> tuple[np.ndarray, Ids, Ids]:
    """Lengths (R,), items (E,) and targets (R,) of the good rows. Raises DataError for columns of other types."""
    lengths, items, targets = [], [], []
    for batch in Parquet().batches(source, [_PREFIX, _TARGET], bad_rows, share):
        lists = batch.columns[_PREFIX]
        if not (pa.types.is_list(lists.type) or pa.types.is_large_list(lists.type)):
            raise DataError(
                f"the column {_PREFIX!r} of {source} has the type {lists.type}, but must contain lists of item ids"
            )
        inside = lists.flatten()
        _, wrong = parse_values.ids(inside, _PREFIX, kind=kind)
        owner = pc.list_parent_indices(lists).to_numpy()
        empty = pc.fill_null(pc.equal(pc.list_value_length(lists), 0), True).to_numpy(zero_copy_only=False)
        problems = [(_PREFIX, empty, f"{_PREFIX} is empty")]
        for mask, _ in wrong:
            invalid = np.zeros(len(lists), dtype=bool)
            invalid[owner[mask]] = True
            problems.append((_PREFIX, invalid, f"an item of {_PREFIX} is missing"))
        _, wrong = parse_values.ids(batch.columns[_TARGET], _TARGET, kind=kind)
        problems += [(_TARGET, mask, problem) for mask, problem in wrong]
        good = pa.array(np.flatnonzero(report_bad_rows(batch, problems, bad_rows)))
        kept = lists.take(good)
        lengths.append(pc.cast(pc.list_value_length(kept), pa.int64()).to_numpy())
        items.append(_ids(kept.flatten(), kind))
        targets.append(_ids(batch.columns[_TARGET].take(good), kind))
    if not lengths:
        raise DataError(f"{source} contains no rows; check the file")
    return np.concatenate(lengths), np.concatenate(unify_ids(*items)), np.concatenate(unify_ids(*targets))


def _ids(column: Any, kind: IdType) -> Ids:
    """Valid ids, normalized as by `code_ids.Ids`."""
    ids, _ = parse_values.ids(column, "", kind=kind)
    if kind == "text":
        return as_texts(from_arrow(ids))
    return from_arrow(without_point_zero(ids) if parse_values.is_text(ids.type) else ids)
