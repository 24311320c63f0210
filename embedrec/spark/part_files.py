"""Arrays and columns of ids that tasks write in parts, and that the driver joins into the files of an artifact.

The joined files are those that one machine writes, byte by byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.data.parquet_io import write_columns
from embedrec.storage.artifacts import BLOCK_BYTES, Draft

_HEADER = 128  # bytes of the header of a one-dimensional array, with room for any length


class GrowingArray:
    """A .npy file of an array (m,) that grows by appending; nothing of it stays in memory."""

    def __init__(self, path: Path, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.file = path.open("wb")
        self.count = 0
        self._write_header()

    def append(self, values: np.ndarray) -> None:
        """Add values (b,)."""
        self.file.write(np.ascontiguousarray(values, dtype=self.dtype).view(np.uint8).data)
        self.count += len(values)

    def close(self) -> int:
        """Finish the file; the number of its values."""
        self.file.seek(0)
        self._write_header()
        self.file.close()
        return self.count

    def _write_header(self) -> None:
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (self.count,)}
        np.lib.format.write_array_header_1_0(self.file, header)
        if self.file.tell() != _HEADER:
            raise ValueError(f"NumPy wrote a header of {self.file.tell()} bytes")


def load_part(path: Path) -> np.ndarray:
    """The array of a part, memory-mapped; an empty one cannot be mapped."""
    array = (
        np.load(path, allow_pickle=False) if path.stat().st_size == _HEADER else np.lib.format.open_memmap(path, "r")
    )
    return np.asarray(array)


def save_part(path: Path, array: np.ndarray) -> None:
    """Write the array (m,) of a part."""
    file = GrowingArray(path, array.dtype)
    file.append(array)
    file.close()


def join_arrays(draft: Draft, name: str, dtype: Any, parts: Iterable[Path]) -> int:
    """Write the arrays of parts one after the other as the array `name` of an artifact; its length."""
    whole = GrowingArray(draft.path(f"{name}.npy"), dtype)
    step = BLOCK_BYTES // whole.dtype.itemsize
    for part in map(load_part, parts):
        for start in range(0, len(part), step):
            whole.append(part[start : start + step])
    return whole.close()


def join_lengths(draft: Draft, name: str, parts: Iterable[Path]) -> int:
    """Write the offsets (S + 1,) int64 of sessions whose lengths the parts hold; the number of sessions."""
    whole = GrowingArray(draft.path(f"{name}.npy"), np.int64)
    whole.append(np.zeros(1, np.int64))
    before = 0
    for lengths in map(load_part, parts):
        offsets = before + np.cumsum(lengths, dtype=np.int64)
        whole.append(offsets)
        before = int(offsets[-1]) if len(offsets) else before
    return whole.close() - 1


def join_columns(draft: Draft, name: str, columns: Sequence[tuple[str, bool]], parts: Iterable[Path]) -> int:
    """Write the Parquet files of parts one after the other as the file `name`.parquet of an artifact; its rows.

    columns  names of the columns, and whether they are integers, else texts
    """
    return write_columns(draft.path(f"{name}.parquet"), columns, _batches(parts))


def _batches(parts: Iterable[Path]) -> Iterator[Any]:
    import pyarrow.parquet as pq

    for part in parts:
        with pq.ParquetFile(part) as file:
            yield from file.iter_batches(1 << 16)


def save_columns(path: Path, **columns: Any) -> None:
    """Write Arrow arrays (m,) as the Parquet file of a part."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path, compression="zstd")
