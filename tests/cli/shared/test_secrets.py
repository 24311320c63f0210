"""A URL with a password in the wrong place: no command, argument or option repeats the password."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from embedrec.cli.main import cli
from embedrec.cli.shared.terminal import command_line, mask_passwords
from embedrec.errors import SettingsError
from embedrec.serving import server
from tests.cli.conftest import Run

URL = "redis://user:geh%40im+x@example.invalid:6379/0?password=quer-geheim"


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    context, result = click.Context(group), []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        result += leaves(command, (*path, name)) if isinstance(command, click.Group) else [((*path, name), command)]
    return result


COMMANDS = leaves(cli)


def open_and_stop(make_application: Callable[[], Any], bound: object, settings: object) -> None:
    """In place of `embedrec.serving.server.serve`, which runs until it is stopped."""
    service = make_application().service
    service.load()
    service.close()
    raise SettingsError(f"stopped: {service.waiting}")


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])
def test_passwords_are_never_printed(
    path: tuple[str, ...], command: click.Command, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(server, "serve", open_and_stop)
    publishes = path[0] == "publish"
    tries: list[tuple[str, ...]] = [(f"--{URL}",), ("--nothing", URL), (URL, URL, URL, "--nothing")]
    arguments = [p for p in command.params if isinstance(p, click.Argument)]
    if arguments and not publishes:
        tries.append(tuple(URL for _ in arguments))
    for option in command.params:
        if isinstance(option, click.Option) and not option.is_flag and (path, option.name) != (("demo",), "into"):
            words = tuple("x" for _ in arguments)
            tries += [(*words, option.opts[-1], URL), (*words, f"{option.opts[-1]}={URL}")]
    for words in tries:
        result = run(*path, *words)
        assert result.code in (1, 2), words
        for secret in ("geh%40im", "geh@im", "quer-geheim"):
            assert secret not in result.out + result.err, (words, result.err)
    result = run(*path[:-1], URL)
    assert result.code == 2 and "geh" not in result.err


def test_a_password_in_the_environment_is_never_printed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMBEDREC_WORKSPACE", URL)
    for words in (("info",), ("similar", "x"), ("train", "word2vec")):
        result = run(*words)
        assert "geh%40im" not in result.err and "user:***@" in result.err


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("no file redis:/u:p@h/x; check", "no file redis:/u:***@h/x; check"),
        ("no file https://tok@h/x; check", "no file https://***@h/x; check"),
        ("no item 'https://example.com/@somebody' here", "no item 'https://example.com/@somebody' here"),
        ("no item 'a@b:c' and spotify:artist:1@2", "no item 'a@b:c' and spotify:artist:1@2"),
        ("--set takes key=value, but 'x' has no '='", "--set takes key=value, but 'x' has no '='"),
    ],
)
def test_secrets_of_a_message_are_masked(message: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["embedrec"])
    assert mask_passwords(message) == shown


def test_the_command_line_is_quoted_and_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/somewhere/embedrec", "report", "a b.html", "--title", URL])
    assert command_line().startswith("embedrec report 'a b.html' --title ")
    assert "geh" not in command_line()
