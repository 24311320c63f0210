"""`embedrec refresh`: what it prints, and its exit codes."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from embedrec.cli.refresh import refresh
from embedrec.workflows.refresh.settings import RefreshSettings
from tests.cli.conftest import Run, succeed
from tests.workflows.refresh.nights import clicks


@pytest.fixture
def nights(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the sessions "old", a model without an index, and the file of the next night."""
    monkeypatch.chdir(tmp_path)
    Path("old.csv").write_text(clicks(range(3)))
    Path("new.csv").write_text(clicks([3]))
    succeed(run, "prepare", "table", "old.csv")
    succeed(run, "train", "cooccurrence")
    return tmp_path


def test_a_night_is_one_row_a_step(run: Run, nights: Path) -> None:
    result = succeed(run, "refresh", "new.csv")
    rows = [line.split("\t") for line in result.out.splitlines()]
    assert [row[:2] for row in rows] == [
        ["append", "old"],
        ["train", "cooccurrence"],
        ["measure", "cooccurrence"],
        ["switch", "old"],
    ]
    assert re.fullmatch(
        r"sessions 240, events [\d,]+, new_or_longer 60, items 28, new_items 1, gone_items 0", rows[0][3]
    )
    assert rows[3][3] == "version 2"
    assert "new3" in succeed(run, "similar", "i1", "-n", 27).out
    again = succeed(run, "refresh", "new.csv")
    assert again.err.splitlines()[-1] == "new.csv: no new events for sessions old; nothing is changed"


def test_a_refused_night_is_exit_code_3(run: Run, nights: Path) -> None:
    result = run("refresh", "new.csv", "--min-overlap", 1, "--json")
    assert result.code == 3
    assert [json.loads(line)["step"] for line in result.out.splitlines()] == ["append", "train", "measure"]
    assert re.fullmatch(
        r"embedrec: nothing is changed: model cooccurrence: overlap@20 0\.\d+ is below --min-overlap 1; the new "
        r"versions are kept in \.refresh/old, and the same command with other thresholds or --no-gate accepts them",
        result.err.splitlines()[-1],
    )
    assert run("similar", "new3").code == 1
    accepted = succeed(run, "refresh", "new.csv", "--no-gate")
    assert "an earlier refresh of the same files is resumed (.refresh/old)" in accepted.err
    assert run("similar", "new3").code == 0


def test_thresholds_are_read_from_a_file(run: Run, nights: Path) -> None:
    Path("refresh.toml").write_text("[refresh]\nmin_overlap = 1.0\n")
    assert run("refresh", "new.csv", "--config", "refresh.toml").code == 3
    assert run("refresh", "new.csv", "--config", "refresh.toml", "--min-overlap", 0).code == 0


def test_errors_are_one_sentence(run: Run, nights: Path) -> None:
    result = run("refresh", "nwe.csv")
    assert (result.code, result.err) == (
        1,
        "embedrec: nwe.csv is no file, folder or pattern of files; check the path\n",
    )
    result = run("refresh", "new.csv", "--into", "odl")
    assert (result.code, result.out) == (1, "") and "did you mean 'old'?" in result.err


def test_options_have_the_names_and_defaults_of_the_settings() -> None:
    options = {param.name: param.default for param in refresh.params}
    for field in fields(RefreshSettings):
        if field.name in options and field.default is not None:
            assert options[field.name] == field.default, field.name


def test_new_versions_are_published(run: Run, nights: Path) -> None:
    result = succeed(run, "refresh", "new.csv", "--publish", "parquet lists/ -n 3")
    assert result.out.splitlines()[-1].startswith("parquet\t1\t84\t")
    assert "new3" in pq.read_table("lists/neighbours.parquet")["item"].to_pylist()
    again = succeed(run, "refresh", "new.csv", "--publish", "parquet lists/ -n 3", "--json")
    assert json.loads(again.out.splitlines()[-1])["generation"] == 1


def test_a_refused_night_publishes_nothing(run: Run, nights: Path) -> None:
    assert run("refresh", "new.csv", "--min-overlap", 1, "--publish", "parquet lists/").code == 3
    assert not Path("lists").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("parqet lists/", "did you mean"),
        ("parquet lists/ --n 3", "--n"),
        ("parquet lists/ --list", "would publish nothing; leave --list, --rollback, --dry-run out"),
        ("parquet 'lists", "has No closing quotation"),
        ("", "no command "),
    ],
)
def test_wrong_publishing_is_refused_before_the_night(run: Run, nights: Path, words: str, message: str) -> None:
    result = run("refresh", "new.csv", "--publish", words)
    assert (result.code, result.out) == (2, "") and message in result.err
    assert not Path(".refresh").exists()
