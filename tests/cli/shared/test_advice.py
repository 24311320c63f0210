"""No message advises an option that the command lacks."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import embedrec
from embedrec.cli.main import cli
from embedrec.cli.shared.advice import OPTION, fit_to_options, options_named, options_of
from tests.cli.conftest import Run

_PACKAGE = Path(embedrec.__file__).parent


def _commands(group: click.Group = cli, path: str = "embedrec") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        yield f"{path} {name}", command


COMMANDS = dict(_commands())


def _text(node: ast.expr) -> str:
    """A literal text, also of several parts; what is filled in is X."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(map(_text, parts))
        case ast.BinOp(left=left, right=right):
            return _text(left) + _text(right)
    return "X"


def _messages() -> set[str]:
    """All texts with options that are passed to errors or to `BadRows`."""
    result = set()
    for path in _PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            name = node.func if isinstance(node, ast.Call) else None
            called = getattr(name, "id", getattr(name, "attr", ""))
            if isinstance(node, ast.Call) and (called.endswith("Error") or called == "add"):
                result |= {text for text in map(_text, node.args) if OPTION.search(text)}
    return result


def test_every_advice_names_existing_options() -> None:
    messages = _messages()
    assert len(messages) > 50
    known = {option for command in COMMANDS.values() for option in options_of(command)}
    for message in messages:
        assert {*OPTION.findall(message)} <= known | {"--no-deps"}, message
        for name, command in COMMANDS.items():
            fitted = fit_to_options(message, options_of(command))
            first, *clauses = fitted.split("; ")
            assert first == message.split("; ")[0]
            assert options_named("; ".join(clauses)) <= options_of(command), (name, fitted)


@pytest.mark.parametrize(
    ("message", "options", "advice"),
    [
        ("a; use --xx s or ms", ["--xx"], "a; use --xx s or ms"),
        ("a; use --xx s or ms", [], "a"),
        ("a; name one of b, c with --xx or --yy", ["--xx"], "a; name one of b, c with --xx"),
        ("a; name one of b, c with --xx or --yy", ["--yy"], "a; name one of b, c with --yy"),
        ("a; free some, use --xx or --yy 1, or split it", ["--yy"], "a; free some, use --yy 1, or split it"),
        ("a; free some, use --xx or --yy 1, or split it", [], "a; free some, or split it"),
        ("a; use --xx, or leave out b; get it again", [], "a; leave out b; get it again"),
        ("a of --xx", [], "a of --xx"),
        ("a; use --yy, or prepare the sessions with --xx", [], "a; prepare the sessions with --xx"),
        ("a; use --yy, or prepare the sessions with --xx", ["--yy"], "a; use --yy, or prepare the sessions with --xx"),
        ("a; prepare them with --xx, or set b=c", [], "a; prepare them with --xx, or set b=c"),
        ("a; build one with `embedrec build-index --xx`", [], "a; build one with `embedrec build-index --xx`"),
        ("a; prepare it again with --xx, or use --yy", [], "a; prepare it again with --xx"),
        ("a; use --xx-y", ["--xx"], "a"),
        ("a; use b c, or --xx (d, e)", [], "a; use b c"),
        ("a; use b c, or --xx (d, e)", ["--xx"], "a; use b c, or --xx (d, e)"),
    ],
)
def test_advice_of_other_commands_is_left_out(message: str, options: list[str], advice: str) -> None:
    assert fit_to_options(message, options) == advice


def test_commands_advise_only_their_own_options(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("session,item\n1,a\n1,b\n1\n")
    failed = run("prepare", "table", path)
    assert failed.code == 1 and failed.err.endswith("; use --on-bad-row skip to leave such rows out\n")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "d.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\nu1\ti1\t1\nu1\ti2\t2\n")
    failed = run("prepare", "recbole", tmp_path / "d")
    assert failed.code == 1 and failed.err.endswith("; use --time-unit s or ms\n")
    assert run("prepare", "recbole", tmp_path / "d", "--time-unit", "s").code == 0
