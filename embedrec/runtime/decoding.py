"""The one place that turns what a decoder raises into an error of ours.

Parsers of JSON, TOML, NumPy, Parquet, Redis' protocol and archives raise many kinds of exceptions for bytes that are
damaged or not their own: their documented ones, and ValueError for a number of too many digits, RecursionError for
deep nesting, MemoryError for a forged length, KeyError, OverflowError and more. No list of them is complete, so that
a block that does nothing but decode takes them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from embedrec.errors import EmbedrecError, reason

T = TypeVar("T")


@contextmanager
def decoding(failed: Callable[[str], EmbedrecError], *, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """For a block that hands bytes of others to a parser: what it raises becomes the error that `failed` makes of it.

    failed   from the reason, one line, to the error: `lambda why: DataError(f"{path} is no Parquet file ({why})")`
    passing  what passes as it is, beside errors of embedrec: OSError where the caller tells the system's from others
    """
    try:
        yield
    except Exception as e:
        if isinstance(e, (EmbedrecError, *passing)):
            raise
        raise failed(reason(e)) from e


def decoded_or_none(decode: Callable[[], T]) -> T | None:
    """What `decode` returns, None where it cannot: for notes beside the work, without which it is done again."""
    try:
        return decode()
    except Exception:
        return None


def checked_length(text: bytes, at_most: int) -> int:
    """A length or count that a file states in decimal digits, before anything loops over it or allocates so much.

    Raises ValueError for what is no such number, or a larger one than `at_most`.
    """
    if not text.isdigit() or len(text) > 19:  # int() also takes signs, spaces and underscores
        raise ValueError(f"{text[:20]!r} is no length")
    if int(text) > at_most:
        raise ValueError(f"a length of {int(text)} goes beyond the end of the file")
    return int(text)
