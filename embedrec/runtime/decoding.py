"""The single place that converts exceptions of parsers into errors of embedrec.

For damaged or foreign bytes, parsers of JSON, TOML, NumPy, Parquet, the Redis protocol and archives raise many kinds of
exceptions: the documented ones, ValueError for numbers with too many digits, RecursionError for deep nesting,
MemoryError for a forged length, KeyError, OverflowError and more. No list is complete, so a block that only decodes
catches them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from embedrec.errors import EmbedrecError, reason

T = TypeVar("T")


@contextmanager
def decoding(failed: Callable[[str], EmbedrecError], *, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Convert what a parser of untrusted bytes raises in this block into the error that `failed` returns.

    failed   one-line reason → error: `lambda why: DataError(f"{path} is not a Parquet file ({why})")`
    passing  exceptions that pass unchanged, besides errors of embedrec: OSError if the caller handles it separately
    """
    try:
        yield
    except Exception as e:
        if isinstance(e, (EmbedrecError, *passing)):
            raise
        raise failed(reason(e)) from e


def decoded_or_none(decode: Callable[[], T]) -> T | None:
    """The result of `decode`, or None if it fails: for optional caches, which are rebuilt."""
    try:
        return decode()
    except Exception:
        return None


def checked_length(text: bytes, at_most: int) -> int:
    """A length or count that a file states in decimal digits, checked before anything is allocated.

    Raises ValueError if it is not a number or exceeds `at_most`.
    """
    if not text.isdigit() or len(text) > 19:  # int() also accepts signs, spaces and underscores
        raise ValueError(f"{text[:20]!r} is not a length")
    if int(text) > at_most:
        raise ValueError(f"the length {int(text)} exceeds the file")
    return int(text)
