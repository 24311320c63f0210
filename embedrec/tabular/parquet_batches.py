"""Parquet batches bounded in rows and bytes, for texts of any length and compression."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_PACKED = 8  # bytes per row; texts stored in fewer are read as dictionary codes and decoded in parts
_DICTIONARY = 2 << 20  # maximum bytes of a dictionary in each row group
_FASTER = 4  # maximum growth of the rows from batch to batch


def packed_columns(file: Any, columns: Sequence[str]) -> list[str]:
    """Text columns that store few bytes per row; decoded, they may be any number of times larger."""
    groups = [file.metadata.row_group(g) for g in range(file.metadata.num_row_groups)]
    packed = []
    for at, path in enumerate(file.metadata.schema.column(c).path for c in range(file.metadata.num_columns)):
        kind = file.schema_arrow.field(path).type if path in columns else pa.null()
        if _has_texts(kind) and all(
            group.column(at).total_uncompressed_size <= _DICTIONARY + _PACKED * group.num_rows for group in groups
        ):
            packed.append(path)
    return packed


def sized_batches(file: Any, columns: Sequence[str], rows: int, size: int) -> Iterator[Any]:
    """Batches of at most `rows` rows and about `size` bytes, estimated from the previous batches.

    The metadata of a file only has the stored size of columns, so the first batches are short.
    """
    metadata = file.metadata
    indices = [c for c in range(metadata.num_columns) if metadata.schema.column(c).path.partition(".")[0] in columns]
    each = 1.0  # bytes per row: in the least compressed row group, then in the last batch
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        stored = sum(group.column(c).total_uncompressed_size for c in indices)
        each = max(each, stored / max(group.num_rows, 1))
    count = _count(max(1, rows // _FASTER**2), size, each)
    # one thread: distributing small batches takes longer than decoding them
    for batch in file.iter_batches(batch_size=count, columns=list(columns), use_threads=False):
        taken = _nbytes(batch) / max(batch.num_rows, 1)
        if taken * count > size or count < rows:
            count = min(_count(rows, size, taken), _FASTER * count)
            file.reader.set_batch_size(count)
        yield batch


def _count(rows: int, size: int, each: float) -> int:
    return max(1, min(rows, int(size / max(each, 1.0))))


def split_batch(batch: Any, size: int) -> Iterator[Any]:
    """Slices of a batch of about `size` bytes each after decoding of dictionaries."""
    sizes = [_text_sizes(column) for column in batch.columns]
    most = sum(int(lengths.max(initial=0)) for lengths, _ in sizes)
    if _nbytes(batch) + most * batch.num_rows <= size:
        yield batch
        return
    taken = np.full(batch.num_rows, _nbytes(batch) / max(batch.num_rows, 1))
    for lengths, codes in sizes:
        if len(lengths):
            taken += lengths[codes]
    part = (np.cumsum(taken) // size).astype(np.int64)
    cuts = [0, *(np.flatnonzero(np.diff(part)) + 1).tolist(), batch.num_rows]
    yield from (batch.slice(first, last - first) for first, last in pairwise(cuts))


def _nbytes(batch: Any) -> int:
    """Bytes of a batch without its dictionaries, which batches share."""
    return sum((c.indices if pa.types.is_dictionary(c.type) else c).nbytes for c in batch.columns)


def _text_sizes(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """Bytes (m,) of the texts of a dictionary, with a last 0 for null, and the position (b,) of each row in it."""
    if not pa.types.is_dictionary(column.type) or not _has_texts(column.type.value_type):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    lengths = pc.fill_null(pc.binary_length(column.dictionary), 0).to_numpy(zero_copy_only=False)
    codes = pc.fill_null(pc.cast(column.indices, pa.int64()), len(lengths)).to_numpy(zero_copy_only=False)
    return np.append(lengths, 0), codes


def _has_texts(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind))
