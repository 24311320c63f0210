"""Vocabularies as Parquet: columns `id` (string or int64), and optionally `name` and `count`."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.data.vocab import Ids, Vocab
from embedrec.errors import ArtifactError, DataError, decoding

GROUP_ROWS = 1 << 20  # of a row group at most, as Arrow's default
GROUP_CHARACTERS = 64 << 20  # of the strings of a row group, about
COUNTED_ROWS = 1 << 12  # rows whose characters are counted at a time
_BATCH = 1 << 16  # strings converted at a time


def save_vocab(vocab: Vocab, path: Path) -> None:
    """Write a vocabulary; row r of the file is row r of the vocabulary."""
    columns = {"id": vocab.ids, "name": vocab.names, "count": vocab.counts}
    _write(path, {name: column for name, column in columns.items() if column is not None})


def load_vocab(path: Path) -> Vocab:
    """Read a vocabulary. Raises ArtifactError when the file is not such a table."""
    columns = _columns(path)
    try:
        return Vocab(columns["id"], columns.get("name"), columns.get("count"))
    except DataError as e:
        raise ArtifactError(f"{path} contains no vocabulary ({e}); write the artifact again") from e


def lazy_vocab(path: Path) -> Vocab:
    """The same vocabulary, read at its first use; for a file that `load_vocab` has checked in its current state.

    The file is mapped now, so that the vocabulary stays the same if another file replaces it.
    """
    with path.open("rb") as f:
        return _LazyVocab(path, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ))


class _LazyVocab(Vocab):
    """A vocabulary that is read from its mapped file when needed."""

    def __init__(self, path: Path, content: mmap.mmap) -> None:
        object.__setattr__(self, "_path", path)
        object.__setattr__(self, "_content", content)

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        import pyarrow as pa

        return _columns(self._path, pa.BufferReader(self._content))  # type: ignore[attr-defined]

    @cached_property
    def ids(self) -> Ids:
        return self._columns["id"]

    @cached_property
    def names(self) -> np.ndarray | None:
        return self._columns.get("name")

    @cached_property
    def counts(self) -> np.ndarray | None:
        return self._columns.get("count")

    def __len__(self) -> int:
        return self._rows if "ids" not in self.__dict__ else len(self.ids)

    @cached_property
    def _rows(self) -> int:
        import pyarrow as pa
        import pyarrow.parquet as pq

        return int(pq.ParquetFile(pa.BufferReader(self._content)).metadata.num_rows)  # type: ignore[attr-defined]


def save_ids(ids: Ids, path: Path) -> None:
    """Write ids (n,), which may repeat."""
    _write(path, {"id": ids})


def load_ids(path: Path) -> Ids:
    """Read ids (n,). Raises ArtifactError when the file is not such a table."""
    return _columns(path)["id"]


def _write(path: Path, columns: dict[str, np.ndarray]) -> None:
    """Write columns (n,) of int64 or strings in row groups, so that the strings are not copied all at once."""
    import pyarrow as pa

    kinds = [(name, column.dtype != object) for name, column in columns.items()]
    n = len(columns["id"])
    write_columns(
        path,
        kinds,
        (
            pa.record_batch({name: to_arrow(column[at : at + _BATCH]) for name, column in columns.items()})
            for at in range(0, n, _BATCH)
        ),
    )


def write_columns(path: Path, columns: Sequence[tuple[str, bool]], batches: Iterable[Any]) -> int:
    """Write record batches of these columns as one file, with limited rows and characters in a row group; their number
    of rows.

    columns  names, and whether they are int64, else strings

    The file does not depend on the division into batches.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema({name: pa.int64() if whole else pa.string() for name, whole in columns})
    written = 0
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as file:
        for group in _row_groups(batches, [name for name, whole in columns if not whole], schema):
            file.write_table(group)
            written += len(group)
    return written


def _row_groups(batches: Iterable[Any], texts: Sequence[str], schema: Any) -> Iterator[Any]:
    """Tables with limited numbers of rows and characters, of the rows of all batches; an empty one for no rows.

    texts  the columns of strings
    """
    import pyarrow as pa

    group, rows, size, first = [], 0, 0, True
    for block in _blocks(batches):
        group.append(block)
        rows += len(block)
        size += sum(_characters(block.column(name)) for name in texts)
        if size >= GROUP_CHARACTERS or rows >= GROUP_ROWS:
            yield pa.Table.from_batches(group, schema).combine_chunks()
            group, rows, size, first = [], 0, 0, False
    if rows or first:
        yield pa.Table.from_batches(group, schema).combine_chunks()


def _blocks(batches: Iterable[Any]) -> Iterator[Any]:
    """Record batches of COUNTED_ROWS rows, but for the last."""
    import pyarrow as pa

    waiting, rows = [], 0
    for batch in batches:
        at = 0
        while at < len(batch):
            part = batch.slice(at, COUNTED_ROWS - rows)
            waiting.append(part)
            at, rows = at + len(part), rows + len(part)
            if rows == COUNTED_ROWS:
                yield part if len(waiting) == 1 else pa.concat_batches(waiting)
                waiting, rows = [], 0
    if rows:
        yield pa.concat_batches(waiting)


def _characters(column: Any) -> int:
    import pyarrow.compute as pc

    return pc.sum(pc.utf8_length(column)).as_py() or 0


def _columns(path: Path, content: Any = None) -> dict[str, np.ndarray]:
    import pyarrow.parquet as pq

    with decoding(lambda why: ArtifactError(f"{path} is not a Parquet file ({why}); write the artifact again")):
        file = pq.ParquetFile(content or path, memory_map=content is None)
        table = file.read(use_threads=False)  # read_table would import pandas
    if "id" not in table.column_names or any(table[c].null_count for c in table.column_names):
        raise ArtifactError(f"{path} contains no ids; write the artifact again")
    with decoding(lambda why: ArtifactError(f"{path} contains no ids ({why}); write the artifact again")):
        return {c: from_arrow(table[c]) for c in table.column_names}


def to_arrow(ids: Ids, *, large: bool = False) -> Any:
    """Ids (n,), int64 or str, as an Arrow array of int64 or string (`large`: with 64-bit offsets).

    Raises DataError for a string that is not valid Unicode (a lone surrogate).
    """
    import pyarrow as pa

    if ids.dtype == np.int64:  # `pa.array` would import pandas
        return pa.Array.from_buffers(pa.int64(), len(ids), [None, pa.py_buffer(np.ascontiguousarray(ids))])
    try:
        return pa.array(ids.tolist(), pa.large_string() if large else pa.string())
    except UnicodeEncodeError as e:
        raise DataError(f"the string {e.object!r} is not valid Unicode; repair it") from None


def from_arrow(column: Any) -> np.ndarray:
    """An Arrow array or column as NumPy: strings as an object array of str, numbers in their type."""
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        texts = np.empty(len(column), dtype=object)
        for at in range(0, len(column), _BATCH):
            texts[at : at + _BATCH] = column[at : at + _BATCH].to_pylist()
        return texts
    if pa.types.is_int64(column.type) and not column.null_count:  # `to_numpy` would import pandas
        parts = [np.from_dlpack(part) for part in getattr(column, "chunks", [column]) if len(part)]
        return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, np.int64), *parts])
    return column.to_numpy()
