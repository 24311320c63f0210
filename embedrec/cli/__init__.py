"""The command line: one file a group of commands; parse, call one library function, print."""

import os
import signal
import sys
from types import FrameType


def exit_interrupted(number: int, frame: FrameType | None) -> None:
    """Ctrl-C while the program begins or ends: nothing is half-written then, and Python would print a traceback."""
    os.write(2, b"embedrec: interrupted; nothing was left half-written\n")
    os._exit(130)


def _is_the_program() -> bool:
    """Whether this process is the command line, and no program that imports it."""
    started = sys.argv[0].replace(os.sep, "/") if sys.argv else ""
    return started.rpartition("/")[2] == "embedrec" or started.endswith("/embedrec/__main__.py")


if _is_the_program() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, exit_interrupted)  # what follows imports for a tenth of a second
