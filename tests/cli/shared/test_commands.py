"""Groups and commands of the command line: near misses, and ids that begin with a minus."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from embedrec.cli.shared.commands import COMMAND, IdCommand, SuggestingGroup
from tests.cli.conftest import Run, succeed


@pytest.fixture
def numbers(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose ids are numbers below zero, and one that is a word with a minus."""
    monkeypatch.chdir(tmp_path)
    Path("log.csv").write_text("session,item\n1,-7\n1,-8\n2,-7\n2,-9\n3,-8\n3,-9\n")
    succeed(run, "prepare", "table", "log.csv")
    succeed(run, "train", "cooccurrence", "--set", "measure=raw")
    succeed(run, "train", "sknn")
    return tmp_path


def test_ids_that_begin_with_a_minus_are_accepted(run: Run, numbers: Path) -> None:
    expected = succeed(run, "similar", "-n", 1, "--", -7).out
    assert expected.startswith("-7\t1\t-")
    for words in (("similar", -7, "-n", 1), ("similar", "-n", 1, -7), ("similar", "-n1", "-7")):
        assert succeed(run, *words).out == expected
    assert [row[0] for row in succeed(run, "similar", -7, -8, "-n", 1).rows] == ["-7", "-8"]
    assert succeed(run, "recommend", -7, "-8", "-n", 1, "--model", "sknn").rows[0][1] == "-9"
    assert succeed(run, "neighbours", -7, "--model", "sknn").code == 0
    assert [row[0] for row in succeed(run, "items", -7).rows] == ["-7"]
    result = run("similar", -7, "-n", -1)
    assert result.code == 2 and "-1 is not in the range" in result.err
    result = run("similar", -5)
    assert result.code == 1 and "no item '-5'" in result.err and "\0" not in result.err
    for command in ("similar", "recommend", "neighbours", "items"):
        result = run(command, "-abc")
        assert result.code == 2 and f"put an id that starts with '-' after --, as in {command} -- -a" in result.err


@click.group(cls=SuggestingGroup)
def group() -> None: ...


@group.command()
def similar() -> None:
    click.echo("similar")


@group.command()
def train() -> None:
    click.echo(click.get_current_context().meta[COMMAND].name)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("simlar", "no command 'simlar'; did you mean 'similar'?"),
        ("xyz", "no command 'xyz'; the commands are similar, train"),
    ],
)
def test_an_unknown_command_names_the_nearest(word: str, message: str) -> None:
    result = CliRunner().invoke(group, [word])
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, f"Error: {message}")


def test_the_context_contains_the_running_command() -> None:
    assert CliRunner().invoke(group, ["train"]).output == "train\n"


@click.command(cls=IdCommand)
@click.argument("items", nargs=-1)
@click.option("-n", "count", type=int, default=10)
@click.option("--flag", is_flag=True)
def echo_ids(items: tuple[str, ...], count: int, flag: bool) -> None:
    click.echo(f"{items} {count} {flag}")


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (["-7"], "('-7',) 10 False"),
        (["-7", "-n", "-3", "x"], "('-7', 'x') -3 False"),
        (["--flag", "-7"], "('-7',) 10 True"),
        (["--", "-n", "-7"], "('-n', '-7') 10 False"),
        (["-7.5e3"], "('-7.5e3',) 10 False"),
    ],
)
def test_words_that_begin_with_a_minus_and_a_digit_are_ids(words: list[str], output: str) -> None:
    assert CliRunner().invoke(echo_ids, words).output == f"{output}\n"


def test_other_ids_with_a_minus_need_a_double_minus() -> None:
    result = CliRunner().invoke(echo_ids, ["-abc"])
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        2,
        "Error: No such option '-a'; put an id that starts with '-' after --, as in echo-ids -- -a",
    )
