"""Vectors without ids, as collections to measure nearest neighbours with have them; all numbers are little-endian.

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
_EXACT = 1 << 24  # whole numbers up to here are float32 numbers


def read_records(path: Path, kind: str, memory: MemoryBudget = IN_MEMORY) -> np.ndarray:
    """The vectors (n, d) of a file, as float32.

    memory  under a budget, those of fbin are mapped from the file, and others put into a temporary file

    Raises DataError for a file that is empty or cut off, and where dimensions are not above 0 or differ.
    """
    size = path.stat().st_size
    if size < (8 if kind == "fbin" else 5):
        raise DataError(f"{path} is cut off or no {kind} file: {size} bytes hold no vector")
    if kind == "fbin":
        n, d = np.fromfile(path, dtype="<i4", count=2).tolist()
        if n < 1 or d < 1:
            raise DataError(f"{path} is no fbin file: it says {n} vectors of {d} dimensions")
        if size != 8 + 4 * n * d:
            raise DataError(f"{path} says {n} vectors of {d} dimensions, {8 + 4 * n * d} bytes, but has {size}")
        if memory.budget is not None:
            return np.memmap(path, dtype="<f4", mode="r", offset=8, shape=(n, d))
        return np.fromfile(path, dtype="<f4", count=n * d, offset=8).reshape(n, d)
    numbers = RECORDS[kind]
    d = int(np.fromfile(path, dtype="<i4", count=1)[0])
    if d < 1:
        raise DataError(f"{path} is no {kind} file: its first vector has {d} dimensions")
    record = 4 + d * numbers.itemsize
    if size % record:
        raise DataError(
            f"{path} is cut off or no {kind} file: {size} bytes are no whole number of vectors of {d} dimensions, "
            f"{record} bytes each"
        )
    records = np.memmap(path, dtype=np.dtype([("d", "<i4"), ("vector", numbers, (d,))]), mode="r")
    vectors = memory.empty(len(records) * d, np.float32).reshape(len(records), d)
    for start in range(0, len(records), BLOCK_ROWS):
        block = records[start : start + BLOCK_ROWS]
        odd = np.flatnonzero(block["d"] != d)
        if len(odd):
            raise DataError(
                f"{path} is damaged or no {kind} file: vector {start + odd[0]} has {block['d'][odd[0]]} dimensions, "
                f"but the first has {d}"
            )
        if kind == "ivecs" and not (np.abs(block["vector"].astype(np.int64)) <= _EXACT).all():
            raise DataError(f"{path} holds whole numbers beyond ±{_EXACT}, which vectors of float32 cannot; scale them")
        vectors[start : start + len(block)] = block["vector"]
    return vectors


def read_array(path: Path, memory: MemoryBudget = IN_MEMORY) -> np.ndarray:
    """The array of a .npy file; under a budget, mapped from it, or as float32 in a temporary file.

    Raises ValueError and what else NumPy raises for files that are none.
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

    before  called when it is sure that they can be written, such as to write their ids

    Raises DataError for numbers that the format cannot hold, and for more vectors than it can say.
    """
    numbers = RECORDS[kind]
    if kind == "fbin" and len(vectors) >= 2**31:
        raise DataError(f"fbin holds fewer than 2**31 vectors, but there are {len(vectors)}; write fvecs or npy")
    if numbers.kind in "iu":
        limits = np.iinfo(numbers)
        whole = (vectors == np.rint(vectors)) & (vectors >= limits.min) & (vectors.astype(np.float64) <= limits.max)
        if not whole.all():
            odd = vectors[~whole][0]
            raise DataError(
                f"{kind} holds whole numbers from {limits.min} to {limits.max}, but one of the vectors holds {odd:g}; "
                "write fvecs"
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
            records = np.empty(len(block), dtype=np.dtype([("d", "<i4"), ("vector", numbers, (d,))]))
            records["d"], records["vector"] = d, block
            f.write(records.tobytes())
