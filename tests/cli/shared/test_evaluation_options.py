"""The options of `evaluate`, `compare`, `tune` and `report`: data, split, protocol, metrics and their notes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from embedrec.cli.shared.evaluation_options import (
    evaluate_model,
    evaluation_options,
    evaluation_settings,
    list_lengths,
    open_task,
    positive_integers,
)
from embedrec.errors import SettingsError
from embedrec.storage.workspace import Workspace
from tests.cli.evaluation_cases import EVALUATE_NOTES


@pytest.mark.parametrize(
    ("text", "numbers"), [("1,5,20", (1, 5, 20)), ("20,5,5", (5, 20)), ("7", (7,)), (" 3 , 1 ", (1, 3))]
)
def test_list_lengths(text: str, numbers: tuple[int, ...]) -> None:
    """Ascending, each once."""
    assert list_lengths(text) == numbers


@pytest.mark.parametrize("text", ["", "0,5", "five", "5,,10", "-1", "1.5"])
def test_what_is_no_list_of_lengths(text: str) -> None:
    with pytest.raises(click.BadParameter) as error:
        list_lengths(text)
    assert error.value.message == f"lengths of lists must be positive integers, such as 5,10,20, not {text!r}"
    with pytest.raises(click.BadParameter, match=r"^neighbours must be positive integers, "):
        positive_integers(text, "neighbours")


def test_defaults() -> None:
    given: dict[str, Any] = {}

    @click.command()
    @evaluation_options
    def command(**values: Any) -> None:
        given.update(values)

    assert CliRunner().invoke(command, []).exit_code == 0
    expected = {
        "sessions": None, "split": None, "valid": False, "protocol": None, "given": None, "at": "1,5,10,20",
        "ties": "conservative", "seen": None, "unknown": "miss", "draws": 1000, "labels": None, "by": None,
        "through": None, "seed": 0, "device": "auto", "as_json": False,
    }  # fmt: skip
    assert {name: given[name] for name in expected} == expected
    assert given.keys() - expected.keys() == {"threads", "workspace"}


def test_notes_of_a_task_and_a_model(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    task = open_task(Workspace(split), None, None, False, None, None, 0)
    settings = evaluation_settings(task, (1, 3), "conservative", None, "miss", 0, 0)
    model, evaluation = evaluate_model(
        "popular", task, settings, workspace=Workspace(split), config=None, pairs=(), labels=None, through=None, seed=0,
        threads=1, device="cpu",
    )  # fmt: skip
    captured = capsys.readouterr()
    assert (captured.out, captured.err.replace(f"{split}/", "")) == (
        "",
        EVALUATE_NOTES + "model popular: trained now on the training part\n",
    )
    assert (model.name, model.origin) == ("popular", "trained now on the training part")
    assert evaluation.metrics["recall@3"] == 5 / 6


def test_settings_of_a_validation_part(split: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = open_task(Workspace(split), "clicks", "tail:share=.25", True, "last", None, 0)
    settings = evaluation_settings(task, (2,), "median", "remove", "drop", 10, 3)
    assert (settings.at, settings.ties, settings.exclude_seen, settings.unknown) == ((2,), "median", True, "drop")
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "protocol last: the last item of every held-out session; 2 test cases",
        f"all {len(task.train.vocab)} items ranked; ties median; seen items removed; unknown targets dropped",
    ]


def test_labels_need_the_protocol_similar(split: Path) -> None:
    task = open_task(Workspace(split), None, None, False, None, None, 0)
    settings = evaluation_settings(task, (1,), "conservative", None, "miss", 0, 0)
    with pytest.raises(SettingsError) as error:
        evaluate_model(
            "popular", task, settings, workspace=Workspace(split), config=None, pairs=(), labels="genres", through=None,
            seed=0, threads=1, device="cpu",
        )  # fmt: skip
    assert str(error.value) == "--labels needs --protocol similar; the protocol is next"


def test_choices_are_refused() -> None:
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
