"""Formats of nearest-neighbour benchmarks: vectors without ids. All numbers are little-endian.

fvecs, ivecs, bvecs  one vector after the other: its dimension d as int32, then d numbers, float32, int32 or bytes
fbin                 the numbers n and d as int32, then n × d float32
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.errors import DataError
from embedrec.storage.atomic import atomic_file
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget

RECORDS: dict[str, np.dtype[Any]] = {
    "fvecs": np.dtype("<f4"),
    "ivecs": np.dtype("<i4"),
    "bvecs": np.dtype("u1"),
    "fbin": np.dtype("<f4"),
}
BLOCK_ROWS = 1 << 14  # vectors read or written at a time
_MAX_EXACT = 1 << 24  # the largest integer up to which float32 is exact


def read_records(path: Path, kind: str, memory: MemoryBudget = IN_MEMORY) -> np.ndarray:
    """The vectors (n, d) of a file, as float32.

    memory  under a budget, vectors of fbin are mapped from the file, and others are copied to a temporary file

    Raises DataError for a file that is empty or cut off, and for dimensions that are not positive or differ.
    """
    size = path.stat().st_size
    if size < (8 if kind == "fbin" else 5):
        raise DataError(f"{path} is cut off or not in {kind} format: {size} bytes contain no vector")
    if kind == "fbin":
        n, d = np.fromfile(path, dtype="<i4", count=2).tolist()
        if n < 1 or d < 1:
            raise DataError(f"{path} is not in fbin format: its header declares {n} vectors of {d} dimensions")
        expected = 8 + 4 * n * d
        if size != expected:
            raise DataError(
                f"the header of {path} declares {n} vectors of {d} dimensions, {expected} bytes, but it has {size}"
            )
        if memory.budget is not None:
            return np.memmap(path, dtype="<f4", mode="r", offset=8, shape=(n, d))
        return np.fromfile(path, dtype="<f4", count=n * d, offset=8).reshape(n, d)
    dtype = RECORDS[kind]
    d = int(np.fromfile(path, dtype="<i4", count=1)[0])
    if d < 1:
        raise DataError(f"{path} is not in {kind} format: its first vector has {d} dimensions")
    record_size = 4 + d * dtype.itemsize
    if size % record_size:
        raise DataError(
            f"{path} is cut off or not in {kind} format: {size} bytes are not a multiple of {record_size}, the size of "
            f"a vector of {d} dimensions"
        )
    records = np.memmap(path, dtype=_record_dtype(dtype, d), mode="r")
    vectors = memory.empty(len(records) * d, np.float32).reshape(len(records), d)
    for start in range(0, len(records), BLOCK_ROWS):
        block = records[start : start + BLOCK_ROWS]
        different = np.flatnonzero(block["d"] != d)
        if len(different):
            first = different[0]
            raise DataError(
                f"{path} is corrupt or not in {kind} format: vector {start + first} has {block['d'][first]} "
                f"dimensions, but the first has {d}"
            )
        if kind == "ivecs" and not (np.abs(block["vector"].astype(np.int64)) <= _MAX_EXACT).all():
            raise DataError(f"{path} contains integers beyond ±{_MAX_EXACT}, where float32 is not exact; scale them")
        vectors[start : start + len(block)] = block["vector"]
    return vectors


def _record_dtype(dtype: np.dtype[Any], d: int) -> np.dtype[Any]:
    return np.dtype([("d", "<i4"), ("vector", dtype, (d,))])


def read_array(path: Path, memory: MemoryBudget = IN_MEMORY) -> np.ndarray:
    """The array of a .npy file; under a budget, mapped from it, or copied as float32 to a temporary file.

    Raises ValueError, and NumPy's other errors, for other files.
    """
    if memory.budget is None:
        with path.open("rb") as f:
            return np.lib.format.read_array(f, allow_pickle=False)
    array = np.lib.format.open_memmap(path, mode="r")
    if array.ndim != 2 or array.dtype.kind not in "fiu" or (array.dtype == np.float32 and array.flags.c_contiguous):
        return array
    vectors = memory.empty(array.size, np.float32).reshape(array.shape)
    with np.errstate(over="ignore"):
        for start in range(0, len(array), BLOCK_ROWS):
            vectors[start : start + BLOCK_ROWS] = array[start : start + BLOCK_ROWS]
    return vectors


def write_records(vectors: np.ndarray, path: Path, kind: str, before: Callable[[], None]) -> None:
    """Write vectors (n, d) float32 to a file, atomically.

    before  called after all checks and before writing, for instance to write ids

    Raises DataError for numbers, and numbers of vectors, that the format cannot contain.
    """
    dtype = RECORDS[kind]
    if kind == "fbin" and len(vectors) >= 2**31:
        raise DataError(f"fbin supports fewer than 2**31 vectors, but there are {len(vectors)}; write fvecs or npy")
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        valid = (vectors == np.rint(vectors)) & (vectors >= limits.min) & (vectors.astype(np.float64) <= limits.max)
        if not valid.all():
            raise DataError(
                f"{kind} supports integers from {limits.min} to {limits.max}, but one of the vectors has the "
                f"coordinate {vectors[~valid][0]:g}; write fvecs"
            )
    before()
    n, d = vectors.shape
    with atomic_file(path, "wb") as f:
        if kind == "fbin":
            f.write(np.array([n, d], dtype="<i4").tobytes())
        for start in range(0, n, BLOCK_ROWS):
            block = vectors[start : start + BLOCK_ROWS]
            if kind == "fbin":
                f.write(block.astype("<f4").tobytes())
                continue
            records = np.empty(len(block), dtype=_record_dtype(dtype, d))
            records["d"], records["vector"] = d, block
            f.write(records.tobytes())
