"""What libraries raise while they decode damaged or odd input, turned into one sentence.

Nothing else than a parser runs inside of these blocks, so that an error of ours is not taken for a damaged file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from embedrec import decoding as border
from embedrec.errors import DataError


@contextmanager
def unpacking(source: object) -> Iterator[None]:
    """What goes wrong while an archive or a packed file is unpacked; errors of the system go on."""
    with border.decoding(
        lambda why: DataError(f"{source} is cut off or damaged ({why}); get it again"), passing=(OSError,)
    ):
        yield


@contextmanager
def decoding(source: object, kind: str) -> Iterator[None]:
    """What goes wrong while a source is decoded as a format, such as "Parquet"; errors of the system go on."""

    def failed(why: str) -> DataError:
        if "UTF8" in why or "codec can't decode" in why:
            return DataError(f"{source} is not UTF-8 text; convert it first")
        return DataError(f"{source} cannot be read as {kind} ({why}); get it again")

    with border.decoding(failed, passing=(OSError,)):
        yield
