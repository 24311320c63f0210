from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedrec.cli.shared import failures
from embedrec.cli.shared.failures import interruptible

LOST = """
import os, signal, threading
from embedrec.cli.shared import failures
failures.GRACE = 1
lock = threading.Lock()
lock.acquire()
with failures.interruptible():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        lock.acquire()  # never released
"""


@pytest.fixture(autouse=True)
def default_handler() -> Iterator[None]:
    """Python's handler of SIGINT, also where the tests run in the background of a shell, which ignores the signal."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


def test_an_interrupt_ends_the_process_although_a_lock_is_held() -> None:
    process = subprocess.run([sys.executable, "-c", LOST], timeout=30, check=False)
    assert process.returncode == 130


def test_an_interrupt_ends_the_block_and_sets_an_alarm() -> None:
    previous = signal.getsignal(signal.SIGALRM)
    try:
        with pytest.raises(KeyboardInterrupt), interruptible():
            signal.raise_signal(signal.SIGINT)
        assert signal.alarm(0) > 0
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_handlers_are_restored_without_an_interrupt() -> None:
    previous = signal.getsignal(signal.SIGALRM)
    with pytest.raises(ValueError, match="x"), interruptible():
        raise ValueError("x")
    assert signal.alarm(0) == 0
    assert signal.getsignal(signal.SIGALRM) == previous
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_handlers_are_kept() -> None:
    def handler(number: int, frame: object) -> None: ...

    previous = signal.signal(signal.SIGINT, handler)
    try:
        with interruptible():
            assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, previous)


PLANTED = """
import os, signal, sys, time

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPTED"]:
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)
            except BaseException as e:  # like modules that probe for optional packages
                print("swallowed", type(e).__name__, file=sys.stderr)
        return None

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    "module",
    ["click", "embedrec.cli.main", "embedrec.cli.info", "embedrec.storage.lineage", "embedrec.storage.workspace"],
)
def test_an_interrupt_during_an_import_exits_with_130(module: str, tmp_path: Path) -> None:
    """The imported module does not swallow it, and it prints no traceback."""
    (tmp_path / "sitecustomize.py").write_text(PLANTED)
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "INTERRUPTED": module}
    words = [sys.executable, "-m", "embedrec", "info", "--workspace", str(tmp_path)]
    process = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (process.returncode, process.stdout) == (130, "")
    *messages, last = process.stderr.splitlines()
    assert last == "embedrec: interrupted; no partial files remain"
    assert all(line.startswith("no artifacts in ") for line in messages)  # messages before the end of the import


def test_an_endless_import_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """An alarm interrupts an import that takes too long."""
    monkeypatch.setattr(failures, "IMPORTING", __file__)  # every frame of this file
    monkeypatch.setattr(failures, "IMPORT_SECONDS", 0.2)
    previous = signal.getsignal(signal.SIGALRM)
    try:
        with pytest.raises(KeyboardInterrupt), interruptible():
            signal.raise_signal(signal.SIGINT)
            assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
            while True:
                pass
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_pending_interrupt_is_raised_when_the_command_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "IMPORTING", __file__)
    previous = signal.getsignal(signal.SIGALRM)
    try:
        with pytest.raises(KeyboardInterrupt), interruptible():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
        signal.signal(signal.SIGINT, signal.default_int_handler)
