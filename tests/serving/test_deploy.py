"""The files of examples/deploy name only what exists, and their commands work; no container is built here."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import click
import pytest
import yaml

from embedrec.cli.serve import serve as command
from embedrec.storage.workspace import Workspace
from tests.serving.test_server import Running

DEPLOY = Path(__file__).parents[2] / "examples" / "deploy"
FILES = sorted(DEPLOY.iterdir())
OPTIONS = [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def test_the_files_are_there() -> None:
    assert [file.name for file in FILES] == ["Containerfile", "compose.yaml", "embedrec.service"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_variables_are_those_of_options(file: Path) -> None:
    variables = {str(option.envvar) for option in OPTIONS if option.envvar}
    named = set(re.findall(r"EMBEDREC_[A-Z_]+", file.read_text()))
    assert named and named <= variables


def words_of_instruction(name: str) -> list[str]:
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
    (line,) = re.findall(rf"^{name} (.*)$", text, flags=re.M)
    return list(json.loads(re.sub(r"^.*?(?=\[)", "", line)))


def test_the_container_runs_as_another_user_than_root() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    assert re.findall(r"^USER (\S+)$", text, flags=re.M) == ["10001:10001"]
    assert "STOPSIGNAL SIGTERM" in text
    assert all("slim" in image for image in re.findall(r"^FROM (\S+)", text, flags=re.M))
    assert words_of_instruction("CMD")[:2] == ["embedrec", "serve"]


def test_options_of_the_commands_exist() -> None:
    unit = read_unit()
    names = {name for option in OPTIONS for name in option.opts}
    for words in (words_of_instruction("CMD")[2:], shlex.split(unit["Service"]["ExecStart"])[2:]):
        assert set(words) <= names


def read_unit() -> RawConfigParser:
    unit = RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "embedrec.service")
    return unit


def test_the_unit_has_its_sections() -> None:
    unit = read_unit()
    assert unit.sections() == ["Unit", "Service", "Install"]
    assert unit["Service"]["DynamicUser"] == "yes"


def test_the_compose_file_names_the_container() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    build = services["embedrec"]["build"]
    context = (DEPLOY / build["context"]).resolve()
    assert (context / build["dockerfile"]).samefile(DEPLOY / "Containerfile")
    assert services["embedrec"]["read_only"] is True
    assert set(services["embedrec"]["depends_on"]) <= set(services)


def test_the_health_check_tells_a_ready_service(plays: Workspace, tmp_path: Path) -> None:
    _, *check = words_of_instruction("HEALTHCHECK")
    running = Running(plays.root, tmp_path / "log")
    try:
        running.wait_ready()
        here = [word.replace("http://127.0.0.1:8000", running.url) for word in check]
        assert subprocess.run([sys.executable, *here], check=False).returncode == 0
    finally:
        running.stop()
    assert subprocess.run([sys.executable, *here], check=False, capture_output=True).returncode == 1
