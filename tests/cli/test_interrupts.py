from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from embedrec.cli.interrupts import ending_soon

LOST = """
import os, signal, threading
from embedrec.cli import interrupts
interrupts._GRACE = 1
lock = threading.Lock()
lock.acquire()
with interrupts.ending_soon():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        lock.acquire()  # nobody gives it back
"""


def test_an_interrupt_that_leaves_a_lock_taken_ends_all_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", LOST], timeout=30, check=False)
    assert done.returncode == 130


def test_an_interrupt_ends_the_block_and_leaves_the_alarm_for_the_end_of_python() -> None:
    before = signal.getsignal(signal.SIGALRM)
    try:
        with pytest.raises(KeyboardInterrupt), ending_soon():
            signal.raise_signal(signal.SIGINT)
        assert signal.alarm(0) > 0
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_without_an_interrupt_everything_is_as_before() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(ValueError, match="x"), ending_soon():
        raise ValueError("x")
    assert signal.alarm(0) == 0
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_handlers_of_others_are_left_alone() -> None:
    def own(number: int, frame: object) -> None: ...

    before = signal.signal(signal.SIGINT, own)
    try:
        with ending_soon():
            assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, before)
