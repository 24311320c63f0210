"""Ctrl-C ends a command soon, whatever it was doing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_GRACE = 15  # seconds from Ctrl-C until the process is ended without asking


@contextmanager
def ending_soon() -> Iterator[None]:
    """For a block that Ctrl-C ends by KeyboardInterrupt, or, where that is lost, by the exit code 130 after a while.

    Python may raise KeyboardInterrupt between taking a lock and the block that gives it back (inside a thread pool,
    say). Whoever wants that lock then waits for good, perhaps only when Python itself ends, so the alarm stays set.
    What is half-written then is removed by the next command.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    before = signal.signal(signal.SIGALRM, _end)
    signal.signal(signal.SIGINT, _interrupt)
    interrupted = False
    try:
        yield
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        if not interrupted:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGALRM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.alarm(_GRACE)
    raise KeyboardInterrupt


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(130)
