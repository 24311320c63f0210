"""Memory that allocators keep after it is freed."""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress


def return_freed_memory() -> None:
    """Give memory that Python, Arrow and the C library have freed back to the system; takes up to .1 s.

    Opening large files leaves much of it. C libraries other than glibc give it back by themselves, or never.
    """
    gc.collect()
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    with suppress(AttributeError, OSError):  # the name is one of glibc
        ctypes.CDLL(None).malloc_trim(0)
