"""`embedrec demo`: the pipeline on MovieLens or on synthetic data."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path


def test_the_demo_on_a_terminal_keeps_bar_and_lines_apart(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "embedrec", "demo", "--toy", "--into", str(tmp_path / "demo")]
    shown = b""
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env={**os.environ, "COLUMNS": "80"}) as process:
        os.close(theirs)
        try:
            while piece := os.read(ours, 10_000):
                shown += piece
        except OSError:  # the terminal is gone with the process
            pass
    os.close(ours)
    assert process.returncode == 0
    lines = shown.decode().replace("\r", "\n").split("\n")
    told = [line for line in lines if "exported " in line or "trained " in line or "similar to" in line]
    assert len(told) == 5
    assert not [line for line in told if "━" in line]
