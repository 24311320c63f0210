"""What libraries raise while they decode damaged or odd input, turned into one sentence.

Nothing else than a parser runs inside of these blocks, so that an error of ours is not taken for a damaged file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from embedrec.errors import DataError, reason
from embedrec.runtime import decoding as border

_PASSING = (OSError, MemoryError)


@contextmanager
def unpacking(source: object) -> Iterator[None]:
    """What goes wrong while an archive or a packed file is unpacked; errors of the system go on."""
    with (
        _enough_memory(source),
        border.decoding(
            lambda why: DataError(f"{source} is cut off or damaged ({why}); get it again"), passing=_PASSING
        ),
    ):
        yield


@contextmanager
def decoding(source: object, kind: str) -> Iterator[None]:
    """What goes wrong while a source is decoded as a format, such as "Parquet"; errors of the system go on."""

    def failed(why: str) -> DataError:
        if "UTF8" in why or "codec can't decode" in why:
            return DataError(f"{source} is not UTF-8 text; convert it first")
        return DataError(f"{source} cannot be read as {kind} ({why}); get it again")

    try:
        with _enough_memory(source), border.decoding(failed, passing=_PASSING):
            yield
    except OSError as e:
        if e.errno is None:  # Arrow's, of a damaged file; those of the system have a number
            raise failed(reason(e)) from e
        raise


@contextmanager
def _enough_memory(source: object) -> Iterator[None]:
    """The file may be sound where memory runs out; Arrow's own error of it is one of its others as well."""
    try:
        yield
    except MemoryError as e:
        raise DataError(
            f"memory ran out while {source} was read; free some, use --memory or --threads 1, or split the file"
        ) from e
