"""Suppress what compiled libraries write directly to stderr, such as FAISS's warnings about few training points.

The command line gives `sys.stderr` its own descriptor, so that a block can discard writes to descriptor 2 while
embedrec's own messages still appear. A program that uses the library does not do that, and nothing is discarded.
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
_state = {"separate": False, "blocks": 0, "original": -1}


def separate_stderr() -> None:
    """Make `sys.stderr` write to a copy of descriptor 2, unless it writes elsewhere already."""
    stream = sys.stderr
    if _state["separate"] or not isinstance(stream, TextIOWrapper) or stream is not sys.__stderr__:
        return
    copy = os.dup(_STDERR)
    sys.stderr = open(copy, "w", encoding=stream.encoding, errors=stream.errors, buffering=1)  # noqa: SIM115, PTH123
    _state["separate"] = True


@contextmanager
def discard_native_stderr() -> Iterator[None]:
    """Discard what compiled code writes to stderr in this block. Exceptions pass."""
    if not _state["separate"]:
        yield
        return
    with _lock:
        if not _state["blocks"]:
            _state["original"] = os.dup(_STDERR)
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, _STDERR)
            os.close(null)
        _state["blocks"] += 1
    try:
        yield
    finally:
        with _lock:
            _state["blocks"] -= 1
            if not _state["blocks"]:
                os.dup2(_state["original"], _STDERR)
                os.close(_state["original"])
