"""What compiled libraries write to stderr on their own: FAISS warns there of few training points, for example.

The command line gives `sys.stderr` a descriptor of its own, so that a block can drop what is written to descriptor 2
meanwhile, and messages of ours still arrive. Without that, as in a program that uses the library, nothing is dropped.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from threading import Lock

_STDERR = 2
_lock = Lock()
_state = {"apart": False, "blocks": 0, "before": -1}


def set_stderr_apart() -> None:
    """Let `sys.stderr` write to a copy of descriptor 2; nothing where it is something else than that descriptor."""
    stream = sys.stderr
    if _state["apart"] or not isinstance(stream, TextIOWrapper) or stream is not sys.__stderr__:
        return
    copy = os.dup(_STDERR)
    sys.stderr = open(copy, "w", encoding=stream.encoding, errors=stream.errors, buffering=1)  # noqa: SIM115, PTH123
    _state["apart"] = True


@contextmanager
def native_text_dropped() -> Iterator[None]:
    """For a block in which compiled code may write remarks to stderr. What it raises arrives as ever."""
    if not _state["apart"]:
        yield
        return
    with _lock:
        if not _state["blocks"]:
            _state["before"] = os.dup(_STDERR)
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, _STDERR)
            os.close(nothing)
        _state["blocks"] += 1
    try:
        yield
    finally:
        with _lock:
            _state["blocks"] -= 1
            if not _state["blocks"]:
                os.dup2(_state["before"], _STDERR)
                os.close(_state["before"])
