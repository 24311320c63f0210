"""A format with columns that are made from others while batches are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from embedrec.readers.tabular.bad_rows import BadRows
from embedrec.readers.tabular.formats import Batch, Format
from embedrec.readers.tabular.source_files import Source

Columns = Mapping[str, Any]  # name → Arrow array (b,)


@dataclass(frozen=True)
class Made:
    """A column that is made: from which columns, and how."""

    of: tuple[str, ...]
    make: Callable[[Columns], Any]


@dataclass(frozen=True)
class Derived:
    """The columns of `form`, and those `made` from them.

    made  name → how; a name of `form` may be replaced
    keep  a made column of booleans (b,): rows where it is false are left out, and are not bad
    """

    form: Format
    made: Mapping[str, Made] = field(default_factory=dict)
    keep: Made | None = None

    @property
    def typed(self) -> bool:
        """Whether numbers and texts are told apart, as in `form`."""
        return self.form.typed

    def columns(self, source: Source) -> list[str]:
        """The columns of `form`, then the new ones."""
        there = self.form.columns(source)
        return [*there, *(name for name in self.made if name not in there)]

    def batches(self, source: Source, columns: Sequence[str], bad_rows: BadRows, share: float = 1.0) -> Iterator[Batch]:
        """The batches of `form`; raises DataError as it does."""
        wanted = [self.made[name].of if name in self.made else (name,) for name in columns]
        needed = dict.fromkeys([name for names in wanted for name in names] + [*(self.keep.of if self.keep else ())])
        for batch in self.form.batches(source, list(needed), bad_rows, share):
            found = {
                name: self.made[name].make(batch.columns) if name in self.made else batch.columns[name]
                for name in columns
            }
            if self.keep is None:
                yield replace(batch, columns=found)
                continue
            mask = self.keep.make(batch.columns)
            rows = np.flatnonzero(mask)
            kept = {name: column.take(pa.array(rows)) for name, column in found.items()}
            yield replace(batch, columns=kept, rows=np.asarray(batch.rows)[rows])
