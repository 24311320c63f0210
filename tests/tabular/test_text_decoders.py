"""Errors of libraries while input is decoded become DataErrors; errors of the system do not."""

from __future__ import annotations

import gzip

import pyarrow as pa
import pytest

from embedrec.errors import DataError
from embedrec.tabular.text_decoders import decoding, unpacking


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("odd value"), "odd value"),
        (gzip.BadGzipFile("Not a gzipped file"), "Not a gzipped file"),
        (OSError("Truncated compressed stream"), "Truncated compressed stream"),  # Arrow; without a number
        (EOFError("ended before the end"), "ended before the end"),
    ],
)
def test_errors_of_libraries_are_reported_as_damage(error: Exception, reason: str) -> None:
    with pytest.raises(DataError) as unpacked, unpacking("f.gz"):
        raise error
    assert str(unpacked.value) == f"f.gz is cut off or damaged ({reason}); get it again"
    assert unpacked.value.__cause__ is error
    with pytest.raises(DataError) as decoded, decoding("f.parquet", "Parquet"):
        raise error
    assert str(decoded.value) == f"f.parquet cannot be read as Parquet ({reason}); get it again"


@pytest.mark.parametrize(
    "error",
    [
        pa.ArrowInvalid("In CSV column #0: invalid UTF8 data"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ],
)
def test_invalid_utf8_is_reported(error: Exception) -> None:
    with pytest.raises(DataError, match=r"^f\.csv is not UTF-8 text; convert it first$"), decoding("f.csv", "CSV"):
        raise error


@pytest.mark.parametrize("error", [MemoryError(), pa.ArrowMemoryError("malloc of size 64 failed")])
def test_exhausted_memory_is_not_reported_as_damage(error: Exception) -> None:
    message = r"^memory ran out while f was read; free some, use --memory or --threads 1, or split the file$"
    with pytest.raises(DataError, match=message), unpacking("f"):
        raise error
    with pytest.raises(DataError, match=message), decoding("f", "CSV"):
        raise error


def test_system_errors_and_own_errors_propagate() -> None:
    for error in (PermissionError(13, "Permission denied"), DataError("ours"), KeyboardInterrupt()):
        for context in (unpacking("f"), decoding("f", "CSV")):
            with pytest.raises(type(error)) as caught, context:
                raise error
            assert caught.value is error
