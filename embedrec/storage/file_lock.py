"""Advisory locks (`flock`) on files and folders; the system releases them when a process ends.

A process id is not enough: two containers that share a workspace use the same ids, and ids are reused. Every container
of a machine sees a lock.
"""

from __future__ import annotations

import errno
import fcntl
import os
from enum import Enum
from pathlib import Path

_HELD = (errno.EWOULDBLOCK, errno.EAGAIN)


class Lock(Enum):
    """The result of an attempt to lock."""

    TAKEN = "taken"
    HELD = "held by another process"
    UNKNOWN = "unknown: the file system has no locks"


def lock(descriptor: int, *, wait: bool = False) -> Lock:
    """Lock an open file or folder until the descriptor is closed or the process ends.

    wait  whether to wait until the lock is free
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        return Lock.HELD if e.errno in _HELD else Lock.UNKNOWN
    return Lock.TAKEN


def is_same_file(descriptor: int, path: Path) -> bool:
    """Whether `path` still is the open file: neither removed nor replaced."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except OSError:
        return False
