"""Whether somebody works on a file or folder: its lock (`flock`), which the system gives back when a process ends.

The number of a process says nothing beyond one container or machine: two containers in one workspace have the same
numbers, and a number is given again. A lock is known to every container of a machine.
"""

from __future__ import annotations

import errno
import fcntl
import os
from enum import Enum
from pathlib import Path

_HELD = (errno.EWOULDBLOCK, errno.EAGAIN)


class Lock(Enum):
    """What became of an attempt to lock."""

    TAKEN = "taken"
    HELD = "held by somebody else"
    UNKNOWN = "not known: the file system has no locks"


def lock(descriptor: int, *, wait: bool = False) -> Lock:
    """Lock what is open, until the descriptor is closed or the process ends.

    wait  until nobody else holds it
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        return Lock.HELD if e.errno in _HELD else Lock.UNKNOWN
    return Lock.TAKEN


def still_there(descriptor: int, path: Path) -> bool:
    """Whether `path` is what is open, and not removed or replaced since it was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except OSError:
        return False
