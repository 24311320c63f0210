"""What libraries raise while they decode damaged or odd input, turned into one sentence.

Parsers of archives and formats raise whatever their code runs into. Nothing else than a parser runs inside of these
blocks, so that an error of ours is not taken for a damaged file.
"""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pyarrow as pa

from embedrec.errors import DataError, reason

_RAISED = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, RecursionError, TypeError, ValueError),
    *(struct.error, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError),
    *(pa.ArrowException, msgspec.MsgspecError),
)


@contextmanager
def unpacking(source: object) -> Iterator[None]:
    """What goes wrong while an archive or a packed file is unpacked; errors of the system go on."""
    try:
        yield
    except _RAISED as e:
        raise DataError(f"{source} is cut off or damaged ({reason(e)}); get it again") from e


@contextmanager
def decoding(source: object, kind: str) -> Iterator[None]:
    """What goes wrong while a source is decoded as a format, such as "Parquet"."""
    try:
        yield
    except _RAISED as e:
        if isinstance(e, UnicodeDecodeError) or "UTF8" in str(e):
            raise DataError(f"{source} is not UTF-8 text; convert it first") from e
        raise DataError(f"{source} cannot be read as {kind} ({reason(e)}); get it again") from e
