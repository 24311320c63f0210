"""The options of `evaluate`, `compare`, `tune` and `report`: data, split, protocol, metrics and their notes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from embedrec.cli.shared.evaluation_options import evaluation_options, list_lengths, open_task, positive_integers
from embedrec.storage.workspace import Workspace
from embedrec.workflows.evaluation_options import LIST_LENGTHS, EvaluationOptions
from embedrec.workflows.train import TrainingOptions
from tests.cli.evaluation_cases import EVALUATE_NOTES


@pytest.mark.parametrize(
    ("text", "numbers"), [("1,5,20", (1, 5, 20)), ("20,5,5", (5, 20)), ("7", (7,)), (" 3 , 1 ", (1, 3))]
)
def test_list_lengths_are_ascending_and_unique(text: str, numbers: tuple[int, ...]) -> None:
    """In any order and with duplicates."""
    assert list_lengths(text) == numbers


@pytest.mark.parametrize("text", ["", "0,5", "five", "5,,10", "-1", "1.5"])
def test_invalid_list_lengths_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter) as error:
        list_lengths(text)
    assert error.value.message == f"lengths of lists must be positive integers, such as 5,10,20, not {text!r}"
    with pytest.raises(click.BadParameter, match=r"^neighbours must be positive integers, "):
        positive_integers(text, "neighbours")


def test_options_become_a_dataclass() -> None:
    given: dict[str, Any] = {}

    @click.command()
    @evaluation_options
    def command(**values: Any) -> None:
        given.update(values)

    assert CliRunner().invoke(command, []).exit_code == 0
    assert given.pop("evaluation") == EvaluationOptions(at=LIST_LENGTHS)
    training = given.pop("training")
    assert (training.seed, training.device, training.threads >= 1) == (0, "auto", True)
    expected = {"sessions": None, "by": None, "as_json": False}
    assert {name: given[name] for name in expected} == expected
    assert given.keys() - expected.keys() == {"workspace"}
    words = ["--split", "tail", "--valid", "--at", "3,1", "--ties", "median", "--draws", "7", "--seed", "2"]
    assert CliRunner().invoke(command, [*words, "--threads", "3", "--device", "cpu"]).exit_code == 0
    assert given["training"] == TrainingOptions(seed=2, threads=3, device="cpu")
    assert given["evaluation"] == EvaluationOptions(split="tail", valid=True, at=(1, 3), ties="median", draws=7, seed=2)


def test_a_task_is_described_in_notes(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    task, settings = open_task(Workspace(split), None, EvaluationOptions(at=(1, 3), draws=0))
    captured = capsys.readouterr()
    assert (captured.out, captured.err.replace(f"{split}/", "")) == ("", EVALUATE_NOTES)
    assert (len(task.train), settings.at, settings.draws) == (9, (1, 3), 0)


def test_a_validation_part_is_described_in_notes(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = EvaluationOptions(
        split="tail:share=.25", valid=True, protocol="last", at=(2,), ties="median", seen="remove", unknown="drop"
    )
    task, _ = open_task(Workspace(split), "clicks", options)
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "protocol last: the last item of every held-out session; 2 test cases",
        f"all {len(task.train.vocab)} items ranked; ties median; seen items removed; unknown targets dropped",
    ]


def test_invalid_choices_are_refused() -> None:
    @click.command()
    @evaluation_options
    def command(**_: Any) -> None: ...

    for words, message in (
        (["--protocol", "net"], "'net' is not one of 'next', 'last', 'rest', 'users', 'similar'"),
        (["--ties", "first"], "'first' is not one of 'conservative', 'standard', 'median'"),
        (["--draws", "-1"], "-1 is not in the range x>=0"),
        (["--given", "0"], "0 is not in the range x>=1"),
        (["--by", "user"], "'user' is not one of 'length', 'popularity'"),
    ):
        result = CliRunner().invoke(command, words)
        assert result.exit_code == 2 and message in result.stderr, json.dumps(words)
