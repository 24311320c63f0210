"""The options of the commands of `embedrec publish`."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from embedrec.cli.shared.publish_options import content_options, lists_or_rolls_back, service_options


@click.command()
@service_options("EMBEDREC_TEST_URL")
@content_options("neighbours")
def command(listing: bool, rollback: bool, generation: int | None, url: str, **others: Any) -> None:
    """Print the action."""
    action = "publishes nothing" if lists_or_rolls_back(listing, rollback, generation) else f"publishes to {url}"
    click.echo(f"{action}, keep={others['keep']} grace={others['grace']} items={others['items']} n={others['count']}")


def invoke(*words: str, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(command, words)


def test_defaults_keep_one_generation() -> None:
    assert invoke("redis://h").output == "publishes to redis://h, keep=1 grace=10.0 items=None n=20\n"


def test_the_url_is_read_from_the_environment() -> None:
    assert invoke(EMBEDREC_TEST_URL="redis://h").output.startswith("publishes to redis://h,")
    result = invoke()
    assert result.exit_code == 2 and "Missing argument 'URL'" in result.stderr


@pytest.mark.parametrize(
    "words", [("--list",), ("--rollback",), ("--rollback", "--generation", "2"), ("--list", "--prefix", "p", "--json")]
)
def test_list_and_rollback_publish_nothing(words: tuple[str, ...]) -> None:
    result = invoke("redis://h", *words)
    assert result.exit_code == 0 and result.output.startswith("publishes nothing,")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--generation", "1"), "--generation needs --rollback; give both or neither"),
        (("--rollback", "--list"), "--list and --rollback are mutually exclusive; give one of them"),
        (("--rollback", "-n", "3"), "-n has no effect with --rollback, which publishes nothing; leave it out"),
        (("--list", "--index", "i"), "--index has no effect with --list, which publishes nothing; leave it out"),
        (("--list", "--nprobe", "3"), "--nprobe has no effect with --list, which publishes nothing; leave it out"),
        (("--list", "--grace", "3"), "--grace has no effect with --list, which publishes nothing; leave it out"),
        (("--list", "--dry-run"), "--dry-run has no effect with --list, which publishes nothing; leave it out"),
        (("--rollback", "--generation", "0"), "0 is not in the range x>=1"),
        (("--keep", "-1"), "-1 is not in the range x>=0"),
        (("--items", "sessions"), "'sessions' is not one of 'neighbours', 'vectors', 'both'"),
    ],
)
def test_options_that_exclude_each_other_are_refused(words: tuple[str, ...], message: str) -> None:
    result = invoke("redis://h", *words)
    assert result.exit_code == 2 and message in " ".join(result.stderr.split())


def test_options_of_vectors_are_left_out_if_there_are_none() -> None:
    names = [
        {parameter.name for parameter in click.command()(content_options(parts)(lambda **_: None)).params}
        for parts in ("", "both")
    ]
    assert names[1] - names[0] == {"items", "new_space"} and names[0] < names[1]
