"""Rows of a session, the items before, and the item that followed, as RecBole's session data sets have them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from embedrec.readers.tabular.bad_rows import BadRows
from embedrec.readers.tabular.formats import Batch, Format
from embedrec.readers.tabular.source_files import Source

_SUFFIX = "_list"  # of RecBole's columns of lists


def list_column_of(item: str, columns: Sequence[str]) -> str:
    """The column of the items that came before that of a column of items (item_id_list), "" for none."""
    name = f"{item.partition(':')[0]}{_SUFFIX}"
    return next((column for column in columns if column.partition(":")[0] == name), "")


@dataclass(frozen=True)
class ItemLists:
    """The events of tables in which each row holds the items of a session so far and the next one.

    Rows of one session that go on each other, as data sets ask for every item of it, are that session once: its longest
    row. A row that does not go on the others of its session is a bad row.

    form     of the table
    session  column of the session
    before   column of the items so far, with spaces between them
    item     column of the item that followed
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
        whole: dict[str, tuple[str, int]] = {}  # session → its items with spaces between them, and their row
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
                    problem = f"the items of a row must go on those of the other rows of its {self.session}"
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
