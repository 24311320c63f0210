"""Exactly what commands print."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from embedrec.cli.main import COMMANDS, cli
from embedrec.version import __version__
from tests.cli.conftest import Run, succeed


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    context = click.Context(group)
    result = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        result.append((*path, name))
        if isinstance(command, click.Group):
            result += commands(command, (*path, name))
    return result


@pytest.mark.parametrize("path", commands(cli), ids=" ".join)
def test_every_command_and_option_has_help(run: Run, path: tuple[str, ...]) -> None:
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        result = command.get_command(click.Context(command), name)
        assert result is not None
        command = result
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{' '.join(path)} {option.name}"
    printed = succeed(run, *path, "--help")
    assert printed.out.startswith(f"Usage: embedrec {' '.join(path)} ")


def test_help_names_every_command(run: Run) -> None:
    out = succeed(run, "--help").out
    assert all(f"\n  {name} " in out for name in COMMANDS)


def test_version_prints_the_version(run: Run) -> None:
    assert succeed(run, "--version").out == f"embedrec, version {__version__}\n"


def test_a_closed_pipe_is_no_error(compass: Path) -> None:
    command = [sys.executable, "-m", "embedrec", "export", "-", "--workspace", str(compass)]
    subprocess.run(command, capture_output=True, check=True)  # may compile kernels, which is reported
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()  # as `head` does when it has seen enough
        _, message = process.communicate()
    assert process.returncode == 0
    assert message == f"using index compass-flat ({compass}/indexes/compass-flat)\n"


def test_a_closed_stderr_fails_the_command(compass: Path) -> None:
    command = [sys.executable, "-m", "embedrec", "export", str(compass / "n.txt"), "--workspace", str(compass)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.close()
        assert process.wait() == 1
    assert not (compass / "n.txt").exists()
