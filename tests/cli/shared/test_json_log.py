"""`--log-json` of every command that takes its time: nothing but lines of a log goes to stderr."""

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


def test_every_command_that_takes_its_time_has_it() -> None:
    without = {
        name
        for name, command in commands(cli)
        if not any("--log-json" in parameter.opts for parameter in command.params)
    }
    assert without <= QUICK


@pytest.fixture
def road(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"s{s}\ti{(s + e) % 30}\t{1_600_000_000 + s * 1000 + e}" for s in range(60) for e in range(6)]
    Path("clicks.tsv").write_text("SessionId\tItemId\tTime\n" + "\n".join(rows) + "\n", encoding="utf-8")
    assert run("prepare", "sessions", "clicks.tsv").code == 0


@pytest.mark.parametrize(
    "road_so_far",
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
def test_every_line_is_of_the_log(run: Run, road: None, road_so_far: list[str]) -> None:
    for words in road_so_far:
        ran = run(*words.split(), "--log-json")
        assert ran.code == 0, ran.err
        told = [json.loads(line) for line in ran.err.splitlines()]
        assert all(list(line)[:3] == ["at", "step", "event"] for line in told)
        assert any(line["event"] == "note" for line in told) or words == "verify"


def test_epochs_have_a_step(run: Run, road: None) -> None:
    ran = run(*["train", "word2vec", "--set", "epochs=2", "--set", "min_count=1", "--log-json"])
    told = [json.loads(line) for line in ran.err.splitlines()]
    epochs = [line for line in told if line["event"] == "epoch"]
    assert [line["epoch"] for line in epochs] == [1, 2] and {line["step"] for line in epochs} == {"train word2vec"}


def test_a_failure_is_its_last_line(run: Run, road: None) -> None:
    ran = run("train", "wrod2vec", "--log-json")
    assert ran.code == 1 and ran.out == ""
    assert json.loads(ran.err.splitlines()[-1])["event"] == "failed"


def test_a_line_of_the_log_is_json_whatever_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    json_log.write_event("compare", "judged", model="é\n", mrr=float("nan"), loss=float("inf"), at_20=0.5)
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert list(said)[:3] == ["at", "step", "event"]
    assert (said["model"], said["mrr"], said["loss"], said["at_20"]) == ("é\n", None, None, 0.5)
