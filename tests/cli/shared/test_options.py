"""Common options, and how results and notes are printed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from embedrec.cli.shared import options
from embedrec.storage.workspace import Workspace
from tests.cli.conftest import Run, succeed

ROWS: list[dict[str, Any]] = [
    {"item": "a\tb", "rank": 1, "score": 0.25, "name": None},
    {"item": "c\\d\n", "rank": 12, "score": 1.0, "name": "é"},
]


@click.command()
@options.json_option
@click.option("--above", is_flag=True)
def print_rows(as_json: bool, above: bool) -> None:
    """Print ROWS."""
    options.emit(ROWS, as_json, header=above)


def invoke(command: click.Command, *words: str, environment: Mapping[str, str] | None = None) -> Result:
    return CliRunner(env=environment).invoke(command, words)


def test_rows_are_separated_by_tabs() -> None:
    """Tabs, line ends and backslashes in values are escaped; numbers have four digits; None is empty."""
    rows = "a\\tb\t1\t0.2500\t\nc\\\\d\\n\t12\t1.0000\té\n"
    header = "item\trank\tscore\tname\n"
    assert invoke(print_rows).stdout == rows
    assert invoke(print_rows, "--header").stdout == header + rows
    assert invoke(print_rows, "--above").stdout == header + rows
    assert invoke(print_rows, "--above", "--no-header").stdout == rows


def test_rows_are_json_objects() -> None:
    assert [json.loads(line) for line in invoke(print_rows, "--json", "--header").stdout.splitlines()] == ROWS


def test_rows_are_a_table_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns are aligned by their width on the screen: numbers to the right, texts to the left."""
    monkeypatch.setattr(options, "on_terminal", lambda: True)
    rows = [{"item": "音楽", "rank": 1}, {"item": "abc", "rank": 10}]

    @click.command()
    @options.json_option
    def command(as_json: bool) -> None:
        options.emit(rows, as_json)

    assert invoke(command).stdout == "item  rank\n音楽     1\nabc     10\n"
    assert invoke(command, "--no-header").stdout == "音楽     1\nabc     10\n"


def test_no_rows_print_nothing() -> None:
    @click.command()
    @options.json_option
    def command(as_json: bool) -> None:
        options.emit([], as_json, header=True)

    assert [invoke(command, *words).stdout for words in ((), ("--json",), ("--header",))] == ["", "", ""]


def test_combined_options_are_in_the_order_of_help() -> None:
    @click.command()
    @options.combine_options([click.option("--first"), click.option("--second"), click.argument("third")])
    def command(**_: Any) -> None: ...

    assert [parameter.name for parameter in command.params] == ["first", "second", "third"]


def test_defaults_of_common_options(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    @click.command()
    @options.workspace_option
    @options.threads_option
    @options.seed_option
    @options.device_option
    @options.popularity_option
    @options.whitespace_option
    def command(**values: Any) -> None:
        given.update(values)

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 4}, raising=False)
    assert invoke(command).exit_code == 0
    assert (given.pop("workspace").root, given) == (
        Path(),
        {"threads": 3, "seed": 0, "device": "auto", "popularity": None, "whitespace": "refuse"},
    )
    assert invoke(command, environment={"EMBEDREC_WORKSPACE": "elsewhere"}).exit_code == 0
    assert isinstance(given["workspace"], Workspace) and given["workspace"].root == Path("elsewhere")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--seed", "-1"), "-1 is not in the range"),
        (("--threads", "0"), "0 is not in the range x>=1"),
        (("--popularity", "1.5"), "1.5 is not in the range 0<=x<=1"),
        (("--device", "gpu"), "'gpu' is not one of 'cpu', 'cuda', 'auto'"),
        (("--whitespace", "drop"), "'drop' is not one of 'refuse', 'encode'"),
    ],
)
def test_values_out_of_range_are_refused(words: tuple[str, ...], message: str) -> None:
    @click.command()
    @options.threads_option
    @options.seed_option
    @options.device_option
    @options.popularity_option
    @options.whitespace_option
    def command(**_: Any) -> None: ...

    result = invoke(command, *words)
    assert result.exit_code == 2 and message in result.stderr


def test_notes_are_lines_or_json() -> None:
    @click.command()
    @options.log_option
    def command() -> None:
        options.note("two\nlines, redis://user:secret@host")
        click.get_current_context().exit(7 if options.logs_json() else 6)

    plain, logged = invoke(command), invoke(command, "--log-json")
    assert (plain.exit_code, plain.stderr) == (6, "two\\nlines, redis://user:***@host\n")
    assert logged.exit_code == 7
    line = json.loads(logged.stderr)
    assert (line["step"], line["event"], line["said"]) == (None, "note", "two\nlines, redis://user:***@host")


@dataclass(frozen=True)
class Explained:
    item: str
    sessions: tuple[tuple[str, float], ...] | None


def test_explained_records_name_their_sessions() -> None:
    assert options.explained_record(Explained("a", None), as_json=True) == {"item": "a"}
    result = Explained("a", (("s1", 0.123456), ("s2", 1.0)))
    assert options.explained_record(result, as_json=False) == {"item": "a", "why": "s1 (0.1235) s2 (1.0)"}
    assert options.explained_record(result, as_json=True) == {
        "item": "a",
        "why": [{"session": "s1", "similarity": 0.1235}, {"session": "s2", "similarity": 1.0}],
    }


def test_only_compare_prints_a_header_in_a_pipe(run: Run, counted: Path) -> None:
    """compare prints the names of its columns unless --no-header is given; other commands with --header."""
    assert succeed(run, "similar", "a", "-n", 1).out == "a\t1\tb\t3.0000\t\n"
    assert succeed(run, "similar", "a", "-n", 1, "--header").out.splitlines() == [
        "item\trank\tsimilar\tscore\tname",
        "a\t1\tb\t3.0000\t",
    ]
    assert succeed(run, "recommend", "a", "-n", 1, "--header").out.startswith("rank\titem\tscore\tname\n1\t")
    assert succeed(run, "info", "--header").rows[0] == ["kind", "name", "created", "holds"]
    words = ("compare", "popular", "ar", "--split", "last-item", "--at", 1, "--draws", 0)
    result = succeed(run, *words)
    assert result.rows[0][:2] == ["model", "recall@1"] and len(result.rows) == 3
    assert succeed(run, *words, "--no-header").rows[0][0] in ("popular", "ar")
    assert succeed(run, *words, "--json").out.startswith("{")
