"""Standard streams that are closed, full, or have another encoding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EMBEDREC = f"{sys.executable} -m embedrec"


def shell(command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "EMBEDREC_WORKSPACE": str(folder), **environment}
    process = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=env, check=False)
    assert "Traceback" not in process.stderr and "Exception ignored" not in process.stderr, command
    assert process.returncode in (0, 1, 2), command
    return process


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("similar north > /dev/full", 1),
        ("export - > /dev/full", 1),
        ("--help > /dev/full", 1),
        ("info 2> /dev/full", 0),
        ("nothing 2> /dev/full", 2),
        ("info none 2> /dev/full", 1),
        ("similar north 2> /dev/full", 1),
    ],
)
def test_full_streams_print_no_traceback(command: str, code: int, compass: Path) -> None:
    process = shell(f"{EMBEDREC} {command}", compass)
    assert process.returncode == code
    if "2>" not in command:
        assert process.stderr.endswith(
            "embedrec: operating system error: No space left on device; no partial output remains\n"
        )


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("similar north --model compass --only - <&-", 1, "stdin is closed; name a file of ids instead of '-'"),
        ("export - >&-", 1, "stdout is closed; name a file for the result instead of '-'"),
        ("similar north >&-", 0, "using index"),
        ("nothing 2>&-", 2, ""),
        ("export - <&- >&- 2>&-", 1, ""),
        ("export out.txt <&- >&- 2>&-", 0, ""),
    ],
)
def test_closed_streams_print_no_traceback(
    command: str, code: int, message: str, compass: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(compass)
    process = shell(f"{EMBEDREC} {command}", compass)
    assert process.returncode == code
    assert message in process.stderr
    if "out.txt" in command:
        assert (compass / "out.txt").read_text().startswith("north north-east ")


def test_characters_outside_the_encoding_of_stdout_are_escaped(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("2 2\nnorth 0 1\n日本😀 1 0\n")
    assert shell(f"{EMBEDREC} vectors import {tmp_path}/v.txt", tmp_path).returncode == 0
    for words, escaped in (("", "\\u65e5\\u672c\\U0001f600"), ("--json", '"\\u65e5\\u672c\\ud83d\\ude00"')):
        process = shell(f"{EMBEDREC} similar north --model v {words}", tmp_path, PYTHONIOENCODING="latin-1")
        assert process.returncode == 0 and escaped in process.stdout


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("export o.redis --prefix", "the prefix of keys must be UTF-8, but is '\\udcff'"),
        ("publish redis redis://127.0.0.1:1/0 --dry-run --prefix", "the prefix of keys must be UTF-8"),
        ("publish postgres postgresql://127.0.0.1:1/x --retries 0 --prefix", "the prefix of tables must be UTF-8"),
        ("publish postgres postgresql://127.0.0.1:1/x --retries 0 --schema", "the schema must be UTF-8"),
        ("similar", "no item '\\udcff' among the 6"),
        ("prepare table", "there is no file or folder \\udcff"),
    ],
)
def test_arguments_of_invalid_utf8_are_escaped_in_messages(command: str, message: str, compass: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "embedrec", *command.split(), b"\xff"],
        capture_output=True,
        cwd=compass,
        check=False,
    )
    assert process.returncode == 1
    assert message in process.stderr.decode().splitlines()[-1]
