"""Unexpected errors, Ctrl-C, and output of libraries: each is one line on stderr."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from types import FrameType
from typing import Any

from embedrec.cli import exit_interrupted
from embedrec.cli.shared.terminal import mask_passwords, one_line, shorten, write_message
from embedrec.errors import reason

TRACEBACK = "EMBEDREC_TRACEBACK"  # environment variable; if set, errors print a traceback
_warned: set[str] = set()


def unexpected_error(error: BaseException) -> str:
    """The message for an error that is not an EmbedrecError."""
    if isinstance(error, RecursionError):
        what = "the input is nested too deeply"
    else:
        what = f"unexpected error ({type(error).__name__}: {_reason(error)})"
    return f"{what}; this is a bug, please report it with the traceback that {TRACEBACK}=1 prints"


def redirect_library_output() -> None:
    """Print messages that Python and libraries write to stderr as lines of embedrec.

    warnings   one line each, once; warnings for developers, such as deprecations, are silent
    errors     one line each, in background threads and where Python cannot raise them
    logs       silent, since errors are raised too

    Hooks and filters that are already set, by a test runner or `python -W`, remain.
    """
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _unraisable
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _thread_failed
    if not sys.warnoptions and warnings.showwarning is _SHOW_WARNING:
        warnings.showwarning = _warn
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())


_SHOW_WARNING: Callable[..., Any] = warnings.showwarning
_FOR_DEVELOPERS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning, ResourceWarning)


def _warn(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    text = str(message).strip().split("\n")[0]
    if not issubclass(category, _FOR_DEVELOPERS) and text not in _warned:
        _warned.add(text)
        _line(f"warning of a library: {text}")


def _unraisable(hook_args: sys.UnraisableHookArgs) -> None:
    _report_background_error(hook_args.exc_value if hook_args.exc_value is not None else hook_args.exc_type())


def _thread_failed(hook_args: threading.ExceptHookArgs) -> None:
    _report_background_error(hook_args.exc_value if hook_args.exc_value is not None else hook_args.exc_type())


def _report_background_error(error: BaseException) -> None:
    """Print an error that does not end the command."""
    if isinstance(error, KeyboardInterrupt):  # Python would swallow this Ctrl-C
        interrupt_main()
        return
    if os.environ.get(TRACEBACK):
        with suppress(OSError, ValueError):
            write_message("".join(traceback.format_exception(error)), newline=False)
    if not isinstance(error, BrokenPipeError | SystemExit):  # `main` handles a closed pipe
        _line(
            f"a background task failed ({type(error).__name__}: {_reason(error)}); {TRACEBACK}=1 prints the traceback"
        )


def _reason(error: BaseException) -> str:
    return reason(error) if isinstance(error, Exception) else (str(error).strip() or "no reason").splitlines()[0]


def _line(text: str) -> None:
    with suppress(OSError, ValueError):  # stderr is closed
        write_message(f"embedrec: {one_line(shorten(mask_passwords(text)))}")


GRACE = 15  # seconds from Ctrl-C until the process is killed
IMPORT_SECONDS = 5  # seconds that an import may take before it is interrupted
_POLL = 0.02  # seconds between checks whether an import has ended
IMPORTING = "<frozen importlib"  # start of the file names of import frames


@contextmanager
def interruptible() -> Iterator[None]:
    """A block in which Ctrl-C raises KeyboardInterrupt, and exits with code 130 if that has no effect for 15 s.

    Python may raise KeyboardInterrupt between the acquisition of a lock and the block that releases it, for example in
    a thread pool. A later acquisition then blocks for ever, possibly at the exit of Python, so the alarm stays set. The
    next command removes incomplete files.

    KeyboardInterrupt is delayed until imports have ended: modules that try an import treat every exception as a missing
    module.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    previous = signal.getsignal(signal.SIGINT)
    if not in_main_thread or previous not in (signal.default_int_handler, exit_interrupted):
        yield
        return
    interrupt = _Interrupt()
    alarm = signal.signal(signal.SIGALRM, interrupt.poll)
    signal.signal(signal.SIGINT, interrupt.begin)
    interrupted = False
    try:
        yield
        interrupt.raise_if_waiting()
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        if not interrupted:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGINT, previous)
            signal.signal(signal.SIGALRM, alarm)


class _Interrupt:
    """The state from Ctrl-C to the end of the command."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.waiting = False

    def begin(self, number: int, frame: FrameType | None) -> None:
        """Handle Ctrl-C: raise, or wait for the end of an import."""
        if self.since is None:
            self.since = monotonic()
        self._raise_or_wait(frame)

    def poll(self, number: int, frame: FrameType | None) -> None:
        """Handle the alarm: raise if the import has ended, exit if the time is over."""
        if not self.waiting:
            os._exit(130)
        self._raise_or_wait(frame)

    def raise_if_waiting(self) -> None:
        """Raise if the command has ended while an interrupt waits."""
        if self.waiting:
            self._raise_or_wait(None)

    def _raise_or_wait(self, frame: FrameType | None) -> None:
        passed = monotonic() - (self.since or 0.0)
        self.waiting = passed < IMPORT_SECONDS and _importing(frame)
        signal.setitimer(signal.ITIMER_REAL, _POLL if self.waiting else max(GRACE - passed, _POLL))
        if not self.waiting:
            raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    """Whether a frame runs, directly or indirectly, during an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(IMPORTING):
            return True
        frame = frame.f_back
    return False
