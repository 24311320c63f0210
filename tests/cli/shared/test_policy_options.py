"""The options of policies, from the registry of policies."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from embedrec.cli.shared.policy_options import policy_options
from embedrec.export.policies.settings import POLICIES, Policies, option_of

GIVEN: list[Policies] = []


@click.command()
@policy_options
def command(policies: Policies, **others: Any) -> None:
    assert others == {}
    GIVEN.append(policies)


def policies_of(*words: str) -> Policies:
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0, result.output
    return GIVEN[-1]


def test_every_policy_has_an_option_with_its_summary() -> None:
    options = {parameter.name: parameter for parameter in command.params}
    assert list(options) == list(POLICIES)
    for name, entry in POLICIES.items():
        option = options[name]
        assert isinstance(option, click.Option)
        assert (option.opts, option.help) == ([option_of(name)], entry.summary)
        assert option.is_flag == (entry.metavar == "")


def test_no_option_is_no_policy() -> None:
    assert policies_of() == Policies()
    assert policies_of().enabled() == {}


def test_values_are_parsed() -> None:
    assert policies_of(
        *("--min-score", "-0.5", "--min-evidence", "3", "--mutual", "--csls", "10", "--discount", "0.5"),
        *("--cap", "artist=2", "--cap", "a=b=10", "--mmr", "0.25", "--back-off"),
    ) == Policies(
        min_score=-0.5,
        min_evidence=3,
        mutual=True,
        csls=10,
        discount=0.5,
        caps={"artist": 2, "a=b": 10},
        mmr=0.25,
        back_off=True,
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--cap", "artist"), "--cap must be ATTRIBUTE=N, such as artist=2, not 'artist'"),
        (("--cap", "=2"), "--cap must be ATTRIBUTE=N, such as artist=2, not '=2'"),
        (("--cap", "artist=-1"), "--cap must be ATTRIBUTE=N, such as artist=2, not 'artist=-1'"),
        (("--cap", "artist=1234567890"), "--cap must be ATTRIBUTE=N, such as artist=2, not 'artist=1234567890'"),
        (("--min-evidence", "0"), "0 is not in the range x>=1"),
        (("--csls", "1.5"), "'1.5' is not a valid integer range"),
        (("--mmr", "2"), "2.0 is not in the range 0<=x<=1"),
        (("--discount", "-1"), "-1.0 is not in the range 0<=x<=10"),
        (("--min-score", "high"), "'high' is not a valid float"),
    ],
)
def test_invalid_values_are_refused(words: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 2 and message in result.stderr
