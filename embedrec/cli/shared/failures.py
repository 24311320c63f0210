"""What nobody foresaw, and what libraries say on their own, as sentences of ours: nothing else reaches stderr."""

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

TRACEBACK = "EMBEDREC_TRACEBACK"  # of the environment: set, errors show where they come from
_warned: set[str] = set()


def unexpected(error: BaseException) -> str:
    """A sentence about an error that should have been one of ours."""
    if isinstance(error, RecursionError):
        what = "something is nested too deeply"
    else:
        what = f"something unexpected went wrong ({type(error).__name__}: {_reason(error)})"
    return f"{what}; this is a defect, please report it with what {TRACEBACK}=1 prints before this line"


def redirect_library_output() -> None:
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
            write_message("".join(traceback.format_exception(error)), newline=False)
    if not isinstance(error, BrokenPipeError | SystemExit):  # of a reader who went away, which main sees, too
        _line(f"a step in the background failed ({type(error).__name__}: {_reason(error)}); {TRACEBACK}=1 shows where")


def _reason(error: BaseException) -> str:
    return reason(error) if isinstance(error, Exception) else (str(error).strip() or "no reason").splitlines()[0]


def _line(text: str) -> None:
    with suppress(OSError, ValueError):  # nobody reads stderr, or it is closed already
        write_message(f"embedrec: {one_line(shorten(mask_passwords(text)))}")


_GRACE = 15  # seconds from Ctrl-C until the process is ended without asking


_IMPORT = 5  # seconds that an import may take until it is interrupted all the same


_LOOK = 0.02  # seconds until it is looked again whether an import is over


_IMPORTING = "<frozen importlib"  # what files of frames of an import begin with


@contextmanager
def interruptible() -> Iterator[None]:
    """For a block that Ctrl-C ends by KeyboardInterrupt, or, where that is lost, by the exit code 130 after a while.

    Python may raise KeyboardInterrupt between taking a lock and the block that gives it back (inside a thread pool,
    say). Whoever wants that lock then waits for good, perhaps only when Python itself ends, so the alarm stays set.
    What is half-written then is removed by the next command.

    While a module is imported, KeyboardInterrupt waits until that is over: modules that try imports take any
    exception for one that is missing, and go on without it.
    """
    ours = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    if not ours or before not in (signal.default_int_handler, exit_interrupted):
        yield
        return
    interrupt = _Interrupt()
    alarm = signal.signal(signal.SIGALRM, interrupt.look_again)
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
            signal.signal(signal.SIGINT, before)
            signal.signal(signal.SIGALRM, alarm)


class _Interrupt:
    """From Ctrl-C until the command has ended."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.waiting = False

    def begin(self, number: int, frame: FrameType | None) -> None:
        """On Ctrl-C: raise, or wait for the end of an import."""
        if self.since is None:
            self.since = monotonic()
        self._raise_or_wait(frame)

    def look_again(self, number: int, frame: FrameType | None) -> None:
        """On the alarm: the import may be over, or the time."""
        if not self.waiting:
            os._exit(130)
        self._raise_or_wait(frame)

    def raise_if_waiting(self) -> None:
        """Where the command ended before an import was looked at again."""
        if self.waiting:
            self._raise_or_wait(None)

    def _raise_or_wait(self, frame: FrameType | None) -> None:
        passed = monotonic() - (self.since or 0.0)
        self.waiting = passed < _IMPORT and _importing(frame)
        signal.setitimer(signal.ITIMER_REAL, _LOOK if self.waiting else max(_GRACE - passed, _LOOK))
        if not self.waiting:
            raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    """Whether a frame runs, however deep, because a module is imported."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORTING):
            return True
        frame = frame.f_back
    return False
