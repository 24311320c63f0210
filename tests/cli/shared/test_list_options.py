"""The options of lists: what `export` and `publish` have in common, and combinations that are refused."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from embedrec.cli.export import export
from embedrec.cli.publish import TARGETS, Targets, publish
from embedrec.cli.shared.list_options import export_source, list_source_options, selection_options
from embedrec.cli.shared.options import popularity_option
from embedrec.cli.shared.search_options import gpu_option, search_options
from embedrec.export.policies.settings import POLICIES

LISTS = {"of", "index", "model", "histories", "seen", "candidates", "attributes", "where", "only", "exclude", *POLICIES}


@click.command()
@list_source_options
@selection_options
@popularity_option
@search_options("the index's")
@gpu_option
def command(**given: Any) -> None:
    """Print the source."""
    source = export_source(given, 1)
    click.echo(f"{source.of} {source.model} {source.exclude_seen} {given['policies'].describe()}")


def test_export_and_every_target_have_all_options() -> None:
    assert isinstance(publish, Targets)
    context = click.Context(publish)
    for one in (export, *(publish.get_command(context, name) for name in TARGETS)):
        assert one is not None and {str(parameter.name) for parameter in one.params} >= LISTS


def test_the_source_of_the_options() -> None:
    words = [
        "--of",
        "recommendations",
        "--histories",
        "h.csv",
        "--seen",
        "--model",
        "m",
        "--cap",
        "artist=2",
        "--mmr",
        ".3",
    ]
    assert CliRunner().invoke(command, words).output == "recommendations m False cap artist=2, mmr 0.3\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--of", "recommendations"), "--of recommendations and --histories FILE need each other"),
        (("--seen",), "--seen needs --of recommendations; leave it out"),
        (("--attributes", "f.csv"), "--attributes needs --where or --cap; leave it out"),
        (("--of", "sessions", "--device", "cuda"), "--device needs --of items; leave it out"),
        (("--of", "sessions", "--where", "year>=2000"), "--where, --only and --exclude filter items, not sessions"),
        (("--of", "sessions", "--popularity", "0.5"), "--popularity applies to items, not sessions; leave it out"),
    ],
)
def test_options_that_exclude_each_other_are_refused(words: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 2 and message in " ".join(result.stderr.split())
