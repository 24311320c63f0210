"""Rows of a session, its items so far, and its next item, as in RecBole's session data sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.formats import Batch, Format
from embedrec.tabular.source_files import Source

_SUFFIX = "_list"  # of list columns in RecBole


def list_column_of(item: str, columns: Sequence[str]) -> str:
    """The column of the previous items (item_id_list) that belongs to a column of items, "" for none."""
    name = f"{item.partition(':')[0]}{_SUFFIX}"
    return next((column for column in columns if column.partition(":")[0] == name), "")


@dataclass(frozen=True)
class ItemLists:
    """The events of tables in which each row holds the items of a session so far and the next item.

    Rows of a session that extend each other (data sets have one row per predicted item) become one session: the longest
    row. A row that does not extend the other rows of its session is a bad row.

    form     format of the table
    session  column of the session
    before   column of the items so far, separated by spaces
    item     column of the next item
    """

    form: Format
    session: str
    before: str
    item: str
    typed: ClassVar[bool] = False

    def columns(self, source: Source) -> list[str]:
        """The columns of session and item."""
        return [self.session, self.item]

    def batches(self, source: Source, columns: Sequence[str], bad_rows: BadRows, share: float = 1.0) -> Iterator[Batch]:
        """All events, in the order of the sessions' first rows."""
        whole: dict[str, tuple[str, int]] = {}  # session → its items, separated by spaces, and their row
        for batch in self.form.batches(source, [self.session, self.before, self.item], bad_rows, share):
            for number, session, before, item in zip(
                np.asarray(batch.rows).tolist(), *(c.to_pylist() for c in batch.columns.values()), strict=True
            ):
                if session is None or item is None:
                    bad_rows.add(source, f"row {number}", f"{self.item if session else self.session} is missing")
                    continue
                items = " ".join([*(before or "").split(), item])
                known, row = whole.setdefault(session, (items, number))
                if f"{items} ".startswith(f"{known} "):
                    whole[session] = items, number
                elif not f"{known} ".startswith(f"{items} "):
                    problem = f"the items of a row must extend those of the other rows of its {self.session}"
                    bad_rows.add(source, f"row {number}", problem, f", but row {row} of {session[:40]!r} differs")
        lists = [items.split(" ") for items, _ in whole.values()]
        lengths = np.array([len(items) for items in lists], dtype=np.int64)
        owner = pa.array(np.repeat(np.arange(len(lists)), lengths))
        events = {
            self.session: pa.array(list(whole), pa.string()).take(owner),
            self.item: pa.array([item for items in lists for item in items], pa.string()),
        }
        rows = np.repeat(np.array([row for _, row in whole.values()], dtype=np.int64), lengths)
        yield Batch(source, {name: events[name] for name in columns}, rows, 1.0)
