"""`--log-json`: stderr holds JSON lines only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from embedrec.cli.main import cli
from embedrec.cli.shared import json_log
from tests.cli.conftest import Run

QUICK = {"items", "completion", "similar", "neighbours", "recommend", "info"}


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


def test_every_long_command_has_the_option() -> None:
    without = {
        name
        for name, command in commands(cli)
        if not any("--log-json" in parameter.opts for parameter in command.params)
    }
    assert without <= QUICK


@pytest.fixture
def pipeline(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"s{s}\ti{(s + e) % 30}\t{1_600_000_000 + s * 1000 + e}" for s in range(60) for e in range(6)]
    Path("clicks.tsv").write_text("SessionId\tItemId\tTime\n" + "\n".join(rows) + "\n", encoding="utf-8")
    assert run("prepare", "sessions", "clicks.tsv").code == 0


@pytest.mark.parametrize(
    "commands_so_far",
    [
        ["prepare sessions clicks.tsv --name again"],
        ["split last-item"],
        ["train word2vec --set epochs=2 --set min_count=1"],
        ["train popular", "evaluate popular"],
        ["train word2vec --set min_count=1", "build-index", "export similar.txt", "verify"],
        ["train cooccurrence", "publish parquet out"],
    ],
    ids=" then ".join,
)
def test_every_line_on_stderr_is_json(run: Run, pipeline: None, commands_so_far: list[str]) -> None:
    for words in commands_so_far:
        result = run(*words.split(), "--log-json")
        assert result.code == 0, result.err
        messages = [json.loads(line) for line in result.err.splitlines()]
        assert all(list(line)[:3] == ["at", "step", "event"] for line in messages)
        assert any(line["event"] == "note" for line in messages) or words == "verify"


def test_epochs_name_their_step(run: Run, pipeline: None) -> None:
    result = run(*["train", "word2vec", "--set", "epochs=2", "--set", "min_count=1", "--log-json"])
    messages = [json.loads(line) for line in result.err.splitlines()]
    epochs = [line for line in messages if line["event"] == "epoch"]
    assert [line["epoch"] for line in epochs] == [1, 2] and {line["step"] for line in epochs} == {"train word2vec"}


def test_the_error_is_the_last_line(run: Run, pipeline: None) -> None:
    result = run("train", "wrod2vec", "--log-json")
    assert result.code == 1 and result.out == ""
    assert json.loads(result.err.splitlines()[-1])["event"] == "failed"


def test_values_that_json_lacks_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    json_log.write_event("compare", "judged", model="é\n", mrr=float("nan"), loss=float("inf"), at_20=0.5)
    (line,) = capsys.readouterr().err.splitlines()
    message = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert list(message)[:3] == ["at", "step", "event"]
    assert (message["model"], message["mrr"], message["loss"], message["at_20"]) == ("é\n", None, None, 0.5)
