"""Child interpreters that do not import modules from the current folder.

`python -c` and `python -m` put the current folder first on the module path. An untrusted workspace may hold a
`faiss.py`, which the interpreter would run. Children start with `-P` rather than `-I`, because installations through
PYTHONPATH and user site-packages must keep working.

This module is imported while the current folder is still on the path: it only uses modules that are built in or loaded.
"""

import os
import sys

_SAFE = "PYTHONSAFEPATH"


def command(*words: str) -> list[str]:
    """The command that starts this interpreter with `words` ("-c", code) and without the current folder on its path."""
    return [sys.executable, "-P", *words]


def path() -> str:
    """The path of this interpreter, for a program that starts it; PYTHONSAFEPATH must be set for it."""
    return sys.executable


def leave_current_folder_out() -> None:
    """Remove the current folder, which `python -c` and `python -m` put first, from the module path.

    If embedrec itself is imported from the current folder, the entry moves to the end, where it shadows no installed
    module.
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


class safe_children:  # noqa: N801 (`contextlib` may not be loaded)
    """Set PYTHONSAFEPATH in a block in which libraries (multiprocessing, its resource tracker) start interpreters with
    `python -c` and without `-P`."""

    def __enter__(self) -> None:
        self._before = os.environ.get(_SAFE)
        os.environ[_SAFE] = "1"

    def __exit__(self, *error: object) -> None:
        if self._before is None:
            os.environ.pop(_SAFE, None)
        else:
            os.environ[_SAFE] = self._before
