"""The exception tree, and the functions that turn failures of other libraries into one error with one sentence."""

from __future__ import annotations

import errno
import json
import re
import sys
from pathlib import Path

import pytest

from embedrec import errors
from embedrec.errors import (
    ArtifactError,
    DataError,
    EmbedrecError,
    SettingsError,
    TargetNotMet,
    can_import,
    checked_length,
    decoded_or_none,
    decoding,
    did_you_mean,
    need_package,
    reason,
    system_error,
)


def test_the_docstring_lists_all_errors() -> None:
    assert errors.__doc__ is not None
    listed = re.findall(r"^ [├└]── (\w+) +\S", errors.__doc__, re.MULTILINE)
    defined = [name for name, kind in vars(errors).items() if isinstance(kind, type) and kind is not EmbedrecError]
    defined = [name for name in defined if issubclass(getattr(errors, name), Exception)]
    assert sorted(listed) == sorted(defined)
    assert all(getattr(errors, name).__mro__[1] is EmbedrecError for name in listed)


def test_an_unmet_target_has_the_measured_points() -> None:
    points = [{"recall@10": 0.9, "query_ms_p95": 2.0}]
    assert TargetNotMet("no index reaches it", points).points == points
    assert len(TargetNotMet("no index reaches it").points) == 0
    assert str(TargetNotMet("no index reaches it", points)) == "no index reaches it"


def test_need_package_accepts_an_installed_package() -> None:
    need_package("torch", "training gru4rec")


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(SettingsError) as error:
        need_package("lightgbm", "training a ranker")
    assert str(error.value) == (
        "training a ranker needs the package lightgbm; install it with `pip install 'embedrec[rank]'`"
    )
    assert not can_import("lightgbm") and can_import("torch")


def test_a_package_that_fails_to_import_is_named_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "umap.py").write_text("from umap_core import run\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SettingsError) as error:
        need_package("umap", "the map")
    assert str(error.value) == (
        "the map needs the package umap, which cannot be imported (No module named 'umap_core'); "
        "install it with `pip install 'embedrec[umap]'`"
    )


def test_a_missing_system_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "lightgbm.py").write_text("raise OSError('libgomp.so.1: cannot open shared object file')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "lightgbm", raising=False)
    with pytest.raises(SettingsError) as error:
        need_package("lightgbm", "training a ranker")
    assert str(error.value) == (
        "training a ranker needs the package lightgbm, which cannot be imported (libgomp.so.1: cannot open shared "
        "object file); install it with `pip install 'embedrec[rank]'`"
    )


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
def test_decoding_converts_every_exception(error: Exception, why: str) -> None:
    with pytest.raises(DataError, match=f"^x is damaged \\({re.escape(why)}\\)$") as raised, decoding(_damaged):
        raise error
    assert raised.value.__cause__ is error


def _damaged(why: str) -> DataError:
    return DataError(f"x is damaged ({why})")


def test_decoding_passes_own_errors_listed_types_and_interrupts() -> None:
    with pytest.raises(ArtifactError, match="ours"), decoding(_damaged):
        raise ArtifactError("ours")
    with pytest.raises(OSError, match="full"), decoding(_damaged, passing=(OSError,)):
        raise OSError("full")
    with pytest.raises(KeyboardInterrupt), decoding(_damaged):
        raise KeyboardInterrupt


def test_decoded_or_none_is_none_on_failure() -> None:
    assert decoded_or_none(lambda: json.loads("[1]")) == [1]
    assert decoded_or_none(lambda: json.loads("[" * 100_000)) is None
    assert decoded_or_none(lambda: json.loads("9" * 5000)) is None


@pytest.mark.parametrize("text", [b"-1", b"+1", b" 1", b"1_0", b"", b"1.0", b"8", b"9" * 30, b"\xd9\xa1"])
def test_lengths_are_plain_digits_and_at_most_the_limit(text: bytes) -> None:
    assert checked_length(b"7", 7) == 7 and checked_length(b"0", 7) == 0
    with pytest.raises(ValueError, match="length"):
        checked_length(text, 7)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "x.npy"),
            "operating system error: No space left on device (x.npy); no partial output remains",
        ),
        (
            OSError(errno.EIO, "Input/output error"),
            "operating system error: Input/output error; no partial output remains",
        ),
        (OSError("disconnected"), "operating system error: disconnected; no partial output remains"),
    ],
)
def test_operating_system_errors_name_their_file(error: OSError, message: str) -> None:
    assert system_error(error) == message


def test_a_reason_is_the_first_line_or_the_type() -> None:
    assert reason(ValueError("\n first\nsecond")) == "first"
    assert reason(ValueError("  ")) == "ValueError"


def test_near_misses_are_suggested() -> None:
    assert did_you_mean("windw", ["dim", "window"]) == "; did you mean 'window'?"
    assert did_you_mean("min_cuont", ["min_length", "min_count"]) == "; did you mean 'min_count' or 'min_length'?"
    assert did_you_mean("zzz", ["dim", "window"]) == ""
