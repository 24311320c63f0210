"""Whatever a parser raises becomes one error of ours."""

from __future__ import annotations

import json
import re

import pytest

from embedrec.errors import ArtifactError, DataError, checked_length, decoded_or_none, decoding


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (KeyError("a"), "'a'"),
        (RecursionError("too deep\nmore"), "too deep"),
        (MemoryError(), "MemoryError"),
        (OSError(5, "Input/output error"), "[Errno 5] Input/output error"),
        (type("OfALibrary", (Exception,), {})("odd"), "odd"),
    ],
)
def test_every_exception_becomes_ours(error: Exception, why: str) -> None:
    with pytest.raises(DataError, match=f"^x is damaged \\({re.escape(why)}\\)$") as said, decoding(_damaged):
        raise error
    assert said.value.__cause__ is error


def _damaged(why: str) -> DataError:
    return DataError(f"x is damaged ({why})")


def test_what_passes() -> None:
    with pytest.raises(ArtifactError, match="ours"), decoding(_damaged):
        raise ArtifactError("ours")
    with pytest.raises(OSError, match="full"), decoding(_damaged, passing=(OSError,)):
        raise OSError("full")
    with pytest.raises(KeyboardInterrupt), decoding(_damaged):
        raise KeyboardInterrupt


def test_what_cannot_be_decoded_is_none() -> None:
    assert decoded_or_none(lambda: json.loads("[1]")) == [1]
    assert decoded_or_none(lambda: json.loads("[" * 100_000)) is None
    assert decoded_or_none(lambda: json.loads("9" * 5000)) is None


@pytest.mark.parametrize("text", [b"-1", b"+1", b" 1", b"1_0", b"", b"1.0", b"8", b"9" * 30, b"\xd9\xa1"])
def test_lengths_are_plain_numbers_within_the_file(text: bytes) -> None:
    assert checked_length(b"7", 7) == 7 and checked_length(b"0", 7) == 0
    with pytest.raises(ValueError, match="length"):
        checked_length(text, 7)
