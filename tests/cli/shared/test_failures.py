"""Unexpected errors and output of libraries become sentences, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import warnings
from pathlib import Path

import pytest

from embedrec.cli import info
from embedrec.cli.shared.failures import TRACEBACK
from embedrec.storage.workspace import Workspace
from tests.cli.conftest import Run


class PanicException(BaseException):
    """As Rust's libraries raise it."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("odd\nand more"), "unexpected error (RuntimeError: odd); this is a bug"),
        (RuntimeError(), "unexpected error (RuntimeError: RuntimeError); this is a bug"),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "no"), "(UnicodeEncodeError: 'utf-8' codec can't encode"),
        (RecursionError("maximum recursion depth exceeded"), "the input is nested too deeply; this is a bug"),
        (MemoryError(), "out of memory; no partial files remain"),
        (PanicException("rust"), "unexpected error (PanicException: rust)"),
        (KeyError("a"), "unexpected error (KeyError: 'a')"),
        (OSError(28, "No space left on device", "x"), "operating system error: No space left on device (x)"),
    ],
)
def test_unexpected_exceptions_are_one_sentence(
    error: BaseException, message: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Workspace, "artifacts", fail)
    result = run("info", "--workspace", tmp_path)
    assert (result.code, result.out) == (1, "")
    assert message in result.err and result.err.startswith("embedrec: ") and result.err.count("\n") == 1
    monkeypatch.setenv(TRACEBACK, "1")
    result = run("info", "--workspace", tmp_path)
    assert "Traceback (most recent call last)" in result.err and message in result.err.splitlines()[-1]


def test_warnings_are_errors_in_tests(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line does not hide warnings from tests, where a warning is an error."""

    def warn(*_: object) -> list[object]:
        warnings.warn("overflow encountered", RuntimeWarning, stacklevel=1)
        return []

    monkeypatch.setattr(info.Workspace, "artifacts", warn)
    assert run("info", "--workspace", tmp_path).code == 1


NOISE = """
import ctypes, gc, logging, sys, threading, warnings
from embedrec.cli import main as module
from embedrec.runtime.native_stderr import discard_native_stderr
from embedrec.storage.workspace import Workspace

class Loud:
    def __del__(self):
        raise ValueError("in a finaliser")

def thread():
    raise ValueError("in a thread")

def noisy(*_):
    Workspace.artifacts = lambda *_: []
    import numpy as np
    warnings.warn("twice"); warnings.warn("twice"); warnings.warn("of developers", FutureWarning)
    np.float32(1e38) * np.float32(10)
    logging.getLogger("a.library").warning("logged"); logging.error("logged")
    one = threading.Thread(target=thread); one.start(); one.join()
    Loud(); gc.collect()
    with discard_native_stderr(), discard_native_stderr():
        ctypes.CDLL(None).puts  # the C library is there
        ctypes.CDLL(None).write(2, b"native text\\n", 12)
        print("ours", file=sys.stderr)
    ctypes.CDLL(None).write(2, b"after\\n", 6)
    return []

Workspace.artifacts = noisy
sys.argv = ["embedrec", "info"]
module.main()
"""


def test_output_of_libraries_becomes_notes(tmp_path: Path) -> None:
    process = subprocess.run([sys.executable, "-c", NOISE], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert process.stderr.splitlines() == [
        "embedrec: warning of a library: twice",
        "embedrec: warning of a library: overflow encountered in scalar multiply",
        f"embedrec: a background task failed (ValueError: in a thread); {TRACEBACK}=1 prints the traceback",
        f"embedrec: a background task failed (ValueError: in a finaliser); {TRACEBACK}=1 prints the traceback",
        "ours",
        "after",
        "no artifacts in .; create some with `embedrec prepare SOURCE PATH` or `embedrec demo`",
    ]
    assert process.returncode == 0


def test_warnings_of_faiss_are_hidden(compass: Path, tmp_path: Path) -> None:
    """k-means of residual codes with few points: FAISS writes to stderr from C++."""
    lines = "".join(f"i{n} {n % 7} {n % 5} {n % 3} {n % 11}\n" for n in range(60))
    (tmp_path / "few.txt").write_text(f"60 4\n{lines}")
    env = {**os.environ, "EMBEDREC_WORKSPACE": str(tmp_path / "w")}
    script = Path(sysconfig.get_path("scripts")) / "embedrec"
    for words in (["vectors", "import", "few.txt"], ["build-index", "--type", "RQ2x4", "--threads", "1"]):
        process = subprocess.run([script, *words], capture_output=True, text=True, cwd=tmp_path, env=env, check=False)
        assert process.returncode == 0, process.stderr
        assert "WARNING" not in process.stderr
