"""The process: its cores, child interpreters, and what native code prints.

`python -m embedrec` imports this package while the current folder is still on the module path: like
`child_interpreters`, it only imports modules that are built in or loaded.
"""

import os


def available_cores() -> int:
    """Number of cores that this process may use; all cores if the system cannot tell (macOS)."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1
