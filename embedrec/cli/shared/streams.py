"""stdin, stdout and stderr as whoever started the program left them: closed, full, or of another encoding."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

_STANDARD = (0, 1, 2)


def open_streams() -> None:
    """Make the standard streams safe to use.

    Where one of the three descriptors is closed, the next file that is opened would take its number, and what a
    library prints would go into that file: nothing (/dev/null) stands there instead. `sys.stdin`, `sys.stdout` and
    `sys.stderr` stay None, so that commands can tell. Characters that the encoding of a stream lacks are written as
    escapes.
    """
    for descriptor in _STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def flush_results() -> None:
    """Write out what is left of the result. Raises OSError where that fails, as on a full disk."""
    if sys.stdout is not None:
        sys.stdout.flush()


def close_streams() -> None:
    """Before the program ends: what cannot be written is given up here, as Python would print a traceback of it."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            _give_up_rest(stream)


def _give_up_rest(stream: TextIO) -> None:
    try:
        stream.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):  # what a test puts in its place has no descriptor
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
