"""No Python interpreter that runs for embedrec takes modules from the current folder.

`python -c` and `python -m` put the current folder in front of the module path. A workspace from somebody else may hold
a `faiss.py`, and the interpreter would run it. Children are started with `-P`, and not with `-I`, because installations
through PYTHONPATH and the folder of user packages must keep working.

This module is imported before the current folder is off the path: it needs nothing that is not built in or loaded.
"""

import os
import sys
from contextlib import contextmanager

TYPE_CHECKING = False  # as `typing` has it, which `python -m` would look for in the current folder
if TYPE_CHECKING:
    from collections.abc import Iterator

_SAFE = "PYTHONSAFEPATH"


def command(*words: str) -> list[str]:
    """The command that starts this interpreter with `words` ("-c", code) and without the current folder on its path."""
    return [sys.executable, "-P", *words]


def leave_current_folder_out() -> None:
    """Take the entry that `python -c` or `python -m` put in front off the module path.

    Where embedrec itself is imported from the current folder, the entry goes to the end of the path, where it hides
    nothing that is installed.
    """
    if sys.flags.safe_path or not sys.path or sys.path[0] not in ("", _current_folder()):
        return
    entry = sys.path.pop(0)
    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120 (pathlib is not loaded)
    if home == _current_folder() and home not in sys.path:
        sys.path.append(entry)


def _current_folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109
    except OSError:  # it was removed
        return ""


@contextmanager
def safe_children() -> "Iterator[None]":
    """For a block that starts interpreters through libraries (multiprocessing and its resource tracker), which say
    `python -c` without `-P`: the environment says it instead."""
    before = os.environ.get(_SAFE)
    os.environ[_SAFE] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_SAFE, None)
        else:
            os.environ[_SAFE] = before
