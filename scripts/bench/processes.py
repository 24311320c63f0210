"""Measured processes, and processes of the command line that start without imports, for the other benches."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple


class Run(NamedTuple):
    """A run: seconds, peak resident bytes with and without files, and output."""

    seconds: float
    peak: int
    anonymous: int
    out: str


def measure(words: list[str]) -> Run:
    """Run a command that prints little, and sample its memory every 10 ms."""
    started, peak, anonymous = time.perf_counter(), 0, 0
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:  # it has just ended
                status = ""
            sizes = dict(line.split(":") for line in status.splitlines() if line.startswith(("VmHWM", "RssAnon")))
            peak = max(peak, int(sizes.get("VmHWM", "0 kB").split()[0]) << 10)
            anonymous = max(anonymous, int(sizes.get("RssAnon", "0 kB").split()[0]) << 10)
            time.sleep(0.01)
        seconds = time.perf_counter() - started
        out, log = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{log}")
    return Run(seconds, peak, anonymous, out)


def started(command: list[str]) -> int:
    """Start a silent process of the command line by a fork, which needs no imports; returns its process id."""
    import faiss  # noqa: F401

    from embedrec.cli.main import main as command_line

    process = os.fork()
    if process:
        return process
    status = 1
    with Path(os.devnull).open("w") as nowhere:
        sys.argv, sys.stdout, sys.stderr = ["embedrec", *command], nowhere, nowhere
        try:
            command_line()
            status = 0
        except SystemExit as e:
            status = 1 if e.code else 0
        finally:
            os._exit(status)
