"""What nobody foresaw, and what libraries say on their own, as sentences of ours: nothing else reaches stderr."""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
import warnings
from _thread import interrupt_main
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from embedrec.cli.shared.secrets import without_passwords
from embedrec.cli.shared.terminal import one_line, shortened, tell
from embedrec.errors import reason

TRACEBACK = "EMBEDREC_TRACEBACK"  # of the environment: set, errors show where they come from
_warned: set[str] = set()


def unexpected(error: BaseException) -> str:
    """A sentence about an error that should have been one of ours."""
    if isinstance(error, RecursionError):
        what = "something is nested too deeply"
    else:
        what = f"something unexpected went wrong ({type(error).__name__}: {_reason(error)})"
    return f"{what}; this is a defect, please report it with what {TRACEBACK}=1 prints before this line"


def speak_for_libraries() -> None:
    """Turn what Python and libraries print on stderr into sentences of ours.

    warnings   a line each, once; those for developers, of what will change, stay silent: users can do nothing about it
    errors     in threads that nobody waits for, and where Python cannot raise them: a line
    logs       silent: what goes wrong is raised, too

    Hooks and filters that somebody else has set, as a test runner or `python -W` does, are left alone.
    """
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _not_raised
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _thread_failed
    if not sys.warnoptions and warnings.showwarning is _SHOW:
        warnings.showwarning = _warn
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())


_SHOW: Callable[..., Any] = warnings.showwarning
_FOR_DEVELOPERS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning, ResourceWarning)


def _warn(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    text = str(message).strip().split("\n")[0]
    if not issubclass(category, _FOR_DEVELOPERS) and text not in _warned:
        _warned.add(text)
        _line(f"a library warns: {text}")


def _not_raised(hook_args: sys.UnraisableHookArgs) -> None:
    _unheard(hook_args.exc_value if hook_args.exc_value is not None else hook_args.exc_type())


def _thread_failed(hook_args: threading.ExceptHookArgs) -> None:
    _unheard(hook_args.exc_value if hook_args.exc_value is not None else hook_args.exc_type())


def _unheard(error: BaseException) -> None:
    """An error that ends nothing: the command goes on."""
    if isinstance(error, KeyboardInterrupt):  # Python would swallow a Ctrl-C that comes in such a moment
        interrupt_main()
        return
    if os.environ.get(TRACEBACK):
        with suppress(OSError, ValueError):
            tell("".join(traceback.format_exception(error)), newline=False)
    if not isinstance(error, BrokenPipeError | SystemExit):  # of a reader who went away, which main sees, too
        _line(f"a step in the background failed ({type(error).__name__}: {_reason(error)}); {TRACEBACK}=1 shows where")


def _reason(error: BaseException) -> str:
    return reason(error) if isinstance(error, Exception) else (str(error).strip() or "no reason").splitlines()[0]


def _line(text: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads stderr, or it is closed already
        tell(f"embedrec: {one_line(shortened(without_passwords(text)))}")
