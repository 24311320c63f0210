"""The command line: one file per command; a command parses its options, calls one workflow and prints the result."""

import os
import signal
import sys
from types import FrameType


def exit_interrupted(number: int, frame: FrameType | None) -> None:
    """Exit on Ctrl-C while the program starts or ends, when no file is written; Python would print a traceback."""
    os.write(2, b"embedrec: interrupted; no partial files remain\n")
    os._exit(130)


def _is_main_program() -> bool:
    """Whether this process runs the command line, rather than another program that imports the package."""
    program = sys.argv[0].replace(os.sep, "/") if sys.argv else ""
    return program.rpartition("/")[2] == "embedrec" or program.endswith("/embedrec/__main__.py")


if _is_main_program() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, exit_interrupted)  # the imports that follow take 0.1 s
