"""Files that tasks write in a staging folder and the driver reads; see `tasks` for how each is used exactly once."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from embedrec.errors import DataError
from embedrec.spark.session import check_shared
from embedrec.spark.tasks import fresh_name
from embedrec.storage.atomic import scratch_folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Part:
    """A part that a task has written: its file, and what the task says about it."""

    path: Path
    about: Mapping[str, Any]

    def array(self, dtype: Any, shape: tuple[int, ...], offset: int = 0) -> np.ndarray:
        """An array of the file, memory-mapped, from a byte on."""
        if 0 in shape:
            return np.empty(shape, dtype)
        return np.memmap(self.path, dtype, "r", offset, shape)

    def arrays(self, *columns: tuple[Any, int]) -> list[np.ndarray]:
        """The arrays that lie one after another in the file, by their types and lengths, memory-mapped.

        They may be written, which changes no file: kernels are compiled for such arrays on one machine.
        """
        result, offset = [], 0
        for dtype, count in columns:
            mapped = np.memmap(self.path, dtype, "c", offset, (count,)) if count else np.empty(0, dtype)
            result.append(np.asarray(mapped))
            offset += mapped.nbytes
        return result


@contextmanager
def staging(spark: SparkSession, folder: Path) -> Iterator[Path]:
    """A hidden folder beside `folder`, in which tasks write their parts; it is removed at the end.

    What a process that was killed has left there is removed at the next start, see `scratch_folder`. Raises DataError
    if an executor cannot write there.
    """
    with scratch_folder(folder.absolute()) as parts:
        check_shared(spark, parts)
        yield parts


@contextmanager
def writing_part(folder: str | Path, number: int, about: dict[str, Any]) -> Iterator[IO[bytes]]:
    """The file of a part in a task, whose name and size are added to `about`, the result of the task.

    Raises DataError if it cannot be written.
    """
    path = Path(folder) / fresh_name("part", number)
    try:
        with path.open("wb") as file:
            yield file
        about |= {"name": path.name, "size": path.stat().st_size}
    except OSError as e:
        raise DataError(
            f"{socket.gethostname()} cannot write a part to {folder} ({e.strerror}); check its space and permissions"
        ) from e


def write_arrays(folder: str | Path, number: int, arrays: Sequence[np.ndarray], **about: Any) -> dict[str, Any]:
    """Write arrays one after another as a part in a task; the result of the task."""
    with writing_part(folder, number, about) as file:
        for array in arrays:
            file.write(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return about


def open_parts(folder: Path, results: Sequence[dict[str, Any]]) -> list[Part]:
    """The parts of the results of tasks. Raises DataError for a file that is missing or has another size."""
    parts = []
    for number, about in enumerate(results):
        path = folder / about["name"]
        size = path.stat().st_size if path.is_file() else None
        if size != about["size"]:
            problem = "is missing" if size is None else f"has {size} bytes instead of {about['size']}"
            raise DataError(f"the file {path.name} of part {number} in {folder} {problem}; run the command again")
        parts.append(Part(path, about))
    return parts
