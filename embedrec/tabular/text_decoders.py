"""Errors of libraries that decode damaged or unusual input, turned into DataErrors.

Only a parser runs inside these blocks, so that our own errors are not mistaken for a damaged file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from embedrec import errors as border
from embedrec.errors import DataError, reason

_PASSING = (OSError, MemoryError)


@contextmanager
def unpacking(source: object) -> Iterator[None]:
    """Turn errors of unpacking an archive or compressed file into DataErrors; system errors propagate."""
    with _raising(source, lambda why: DataError(f"{source} is cut off or damaged ({why}); get it again")):
        yield


@contextmanager
def decoding(source: object, kind: str) -> Iterator[None]:
    """Turn errors of decoding a source as a format, such as "Parquet", into DataErrors; system errors propagate."""

    def failed(why: str) -> DataError:
        if "UTF8" in why or "codec can't decode" in why:
            return DataError(f"{source} is not UTF-8 text; convert it first")
        return DataError(f"{source} cannot be read as {kind} ({why}); get it again")

    with _raising(source, failed):
        yield


@contextmanager
def _raising(source: object, failed: Callable[[str], DataError]) -> Iterator[None]:
    """Raise `failed(reason)` for errors of a parser, and report exhausted memory as such: Arrow's memory error is also
    an ArrowException."""
    try:
        with border.decoding(failed, passing=_PASSING):
            yield
    except MemoryError as e:
        raise DataError(
            f"memory ran out while {source} was read; free some, use --memory or --threads 1, or split the file"
        ) from e
    except OSError as e:
        if e.errno is None:  # from Arrow or gzip, for a damaged file; system errors have a number
            raise failed(reason(e)) from e
        raise
