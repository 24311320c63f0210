"""Runs commands of the documentation as a reader types them: those of embedrec in this process, others in bash."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from threading import Thread
from unittest import mock

import pytest

from embedrec.cli.main import main
from tests.docs.markdown import ROOT, is_plain


def succeed(command: str, folder: Path) -> list[str]:
    """The lines that a command prints in `folder`, stderr first. Raises AssertionError if it fails."""
    with contextlib.chdir(folder):
        code, lines = in_process(command) if is_plain(command) else in_bash(command)
    assert code == 0, "\n".join([command, *lines])
    return lines


def in_process(command: str) -> tuple[int, list[str]]:
    """Exit code and lines of a command of embedrec, as on a terminal."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with (
        mock.patch.object(sys, "argv", shlex.split(command, comments=True)),
        mock.patch("embedrec.cli.shared.options.on_terminal", return_value=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    assert isinstance(ended.value.code, int)
    lines = [line for stream in (err, out) for line in stream.buffer.getvalue().decode().splitlines()]  # type: ignore
    return ended.value.code, lines


def in_bash(script: str) -> tuple[int, list[str]]:
    """Exit code and lines of a script with a terminal as stdout; `embedrec` and `python` are of this environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "TERM": "dumb", "NO_COLOR": "1"}
    terminal, stdout = os.openpty()
    command = ["bash", "-euo", "pipefail", "-c", script]
    with subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=env) as process:
        os.close(stdout)
        printed: list[bytes] = []
        reader = Thread(target=_read_all, args=(terminal, printed))
        reader.start()
        assert process.stderr is not None
        messages = process.stderr.read()
        reader.join()
    os.close(terminal)
    return process.returncode, [
        *messages.splitlines(),
        *b"".join(printed).decode().rstrip().splitlines(),
    ]  # rich ends with a line


def _read_all(terminal: int, into: list[bytes]) -> None:
    """Read a pseudo-terminal until its last writer closes it, which Linux reports as an error."""
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 65536):
            into.append(chunk)


def check_lines(command: str, expected: list[str], printed: list[str]) -> None:
    """Raises AssertionError unless the lines are the same up to noise; "…" stands for any number of lines."""
    printed = [line for line in printed if not line.startswith("compiling kernels")]  # without a cache
    expected_lines, results = ([without_noise(line) for line in lines] for lines in (expected, printed))
    while results and not results[-1]:  # a terminal ends with a reset of colours
        results.pop()
    parts: list[list[str]] = [[]]
    for line in expected_lines:
        if line == "…":
            parts.append([])
        else:
            parts[-1].append(line)
    if len(parts) == 1:
        assert results == expected_lines, (command, results, expected_lines)
        return
    first, *middle, last = parts
    assert results[: len(first)] == first, (command, results, first)
    end = len(results) - len(last)
    assert end >= len(first) and results[end:] == last, (command, results, last)
    at = len(first)
    for part in middle:
        starts = [i for i in range(at, end - len(part) + 1) if results[i : i + len(part)] == part]
        assert starts, (command, part, results[at:end])
        at = starts[0] + len(part)


def without_noise(line: str) -> str:
    """A line without what differs from run to run and from data to data; columns with one space between."""
    line = re.sub(r"\x1b\[[0-9;]*m", "", line).replace("\t", "  ")  # headers are bold on a terminal
    line = re.sub(r"spotify:artist:\w+", "ID", line)
    line = re.sub(r"^\S.*? +\d+ +\S.* +-?\d+\.\d{4}$", "ITEM N ITEM N", line)  # rows of `similar`
    line = re.sub(r"^[\w-]+( +-?\d+\.\d{4}){5,}$", "MODEL N", line)  # rows of `compare`
    line = re.sub(r"^ *\d+ +\S.* +-?\d+\.\d{4}( .*)?$", "N ITEM N", line)  # rows of `recommend`
    line = re.sub(r"-?(?<![\w.])\.?[0-9]+(?:[.,:T-][0-9]+)*", "N", re.sub("IVF[0-9]+", "IVFN", line))
    return re.sub("(ID .*N) .*$", r"\1 NAME", re.sub(r"\s+", " ", line)).strip()
