"""What the tests of atomic writes share."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEAD = 999_999_999  # no process has this number


def names(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.iterdir())


@contextmanager
def small_disk() -> Iterator[None]:
    """No file may grow beyond 2,000 bytes, as if the disk were full."""
    before, written = resource.getrlimit(resource.RLIMIT_FSIZE), sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # Python would keep half of a module
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sys.dont_write_bytecode = written
