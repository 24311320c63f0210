"""Ctrl-C ends a command soon, whatever it was doing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

from embedrec.cli import leave

_GRACE = 15  # seconds from Ctrl-C until the process is ended without asking
_IMPORT = 5  # seconds that an import may take until it is interrupted all the same
_LOOK = 0.02  # seconds until it is looked again whether an import is over
_IMPORTING = "<frozen importlib"  # what files of frames of an import begin with


@contextmanager
def ending_soon() -> Iterator[None]:
    """For a block that Ctrl-C ends by KeyboardInterrupt, or, where that is lost, by the exit code 130 after a while.

    Python may raise KeyboardInterrupt between taking a lock and the block that gives it back (inside a thread pool,
    say). Whoever wants that lock then waits for good, perhaps only when Python itself ends, so the alarm stays set.
    What is half-written then is removed by the next command.

    While a module is imported, KeyboardInterrupt waits until that is over: modules that try imports take any
    exception for one that is missing, and go on without it.
    """
    ours = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    if not ours or before not in (signal.default_int_handler, leave):
        yield
        return
    interrupt = _Interrupt()
    alarm = signal.signal(signal.SIGALRM, interrupt.look_again)
    signal.signal(signal.SIGINT, interrupt.begin)
    interrupted = False
    try:
        yield
        interrupt.raise_if_waiting()
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        if not interrupted:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGINT, before)
            signal.signal(signal.SIGALRM, alarm)


class _Interrupt:
    """From Ctrl-C until the command has ended."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.waiting = False

    def begin(self, number: int, frame: FrameType | None) -> None:
        """On Ctrl-C: raise, or wait for the end of an import."""
        if self.since is None:
            self.since = monotonic()
        self._raise_or_wait(frame)

    def look_again(self, number: int, frame: FrameType | None) -> None:
        """On the alarm: the import may be over, or the time."""
        if not self.waiting:
            os._exit(130)
        self._raise_or_wait(frame)

    def raise_if_waiting(self) -> None:
        """Where the command ended before an import was looked at again."""
        if self.waiting:
            self._raise_or_wait(None)

    def _raise_or_wait(self, frame: FrameType | None) -> None:
        passed = monotonic() - (self.since or 0.0)
        self.waiting = passed < _IMPORT and _importing(frame)
        signal.setitimer(signal.ITIMER_REAL, _LOOK if self.waiting else max(_GRACE - passed, _LOOK))
        if not self.waiting:
            raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    """Whether a frame runs, however deep, because a module is imported."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTING):
            return True
        frame = frame.f_back
    return False
