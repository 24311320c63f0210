"""A format with columns computed from others while batches are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from embedrec.tabular.bad_rows import BadRows
from embedrec.tabular.formats import Batch, Format
from embedrec.tabular.source_files import Source

Columns = Mapping[str, Any]  # name → Arrow array (b,)


@dataclass(frozen=True)
class ComputedColumn:
    """A computed column: its input columns, and the function of them."""

    inputs: tuple[str, ...]
    compute: Callable[[Columns], Any]


@dataclass(frozen=True)
class ComputedFormat:
    """The columns of `form`, and those computed from them.

    computed  name → column; it may replace a column of `form`
    keep      a computed column of booleans (b,): rows where it is false are dropped, and are not bad
    """

    form: Format
    computed: Mapping[str, ComputedColumn] = field(default_factory=dict)
    keep: ComputedColumn | None = None

    @property
    def typed(self) -> bool:
        """Whether the format distinguishes numbers from texts, as `form` does."""
        return self.form.typed

    def columns(self, source: Source) -> list[str]:
        """The columns of `form`, then the new ones."""
        columns = self.form.columns(source)
        return [*columns, *(name for name in self.computed if name not in columns)]

    def batches(self, source: Source, columns: Sequence[str], bad_rows: BadRows, share: float = 1.0) -> Iterator[Batch]:
        """The batches of `form`; raises DataError as it does."""
        inputs = [self.computed[name].inputs if name in self.computed else (name,) for name in columns]
        needed = dict.fromkeys(
            [name for names in inputs for name in names] + [*(self.keep.inputs if self.keep else ())]
        )
        for batch in self.form.batches(source, list(needed), bad_rows, share):
            arrays = {
                name: self.computed[name].compute(batch.columns) if name in self.computed else batch.columns[name]
                for name in columns
            }
            if self.keep is None:
                yield replace(batch, columns=arrays)
                continue
            mask = self.keep.compute(batch.columns)
            rows = np.flatnonzero(mask)
            arrays = {name: column.take(pa.array(rows)) for name, column in arrays.items()}
            yield replace(batch, columns=arrays, rows=np.asarray(batch.rows)[rows])
