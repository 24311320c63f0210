"""The requests of the page on serving, sent to a running service."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, blocks
from tests.docs.workspaces import copy_workspace, prepare_workspace
from tests.serving.test_server import Running

PAGE = ROOT / "docs" / "how-to" / "serve.md"
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("served")
    prepare_workspace(folder)
    running = Running(folder, tmp_path_factory.mktemp("log") / "log")
    running.wait_ready()
    yield running
    running.stop()


def requests() -> list[str]:
    """The curl commands of the page, in order."""
    text = "\n".join(block.text for block in blocks(PAGE.read_text()) if block.language == "sh")
    return [line.split(" #")[0].strip() for line in text.splitlines() if line.startswith("curl ")]


def test_every_request_of_the_page_is_answered(running: Running) -> None:
    commands = requests()
    assert len(commands) == 19
    for command in commands:
        words = shlex.split(command.replace(ADDRESS, running.url))
        done = subprocess.run([*words, "--silent", "--fail-with-body"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stdout, done.stderr)


def test_the_python_of_the_page_runs(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = (block for block in blocks(PAGE.read_text()) if block.language == "python")
    exec(compile(block.text.replace(ADDRESS, running.url), "page", "exec", dont_inherit=True), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:5]] == list("12345")
    assert len(re.findall("'[^']+'|\"[^\"]+\"", lines[5])) == 5


def test_the_settings_of_the_page_are_accepted(running: Running, tmp_path: Path) -> None:
    (block,) = (block for block in blocks(PAGE.read_text()) if block.language == "toml")
    copy_workspace(Path(f"/proc/{running.process.pid}/cwd").resolve(), tmp_path / "workspace")
    (tmp_path / "serve.toml").write_text(block.text)
    other = Running(tmp_path / "workspace", tmp_path / "log", "--config", str(tmp_path / "serve.toml"))
    try:
        assert other.wait_ready().status_code == 200
    finally:
        other.stop()
