"""`embedrec diff`: exactly what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run, succeed


@pytest.fixture
def exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with an old export and a new one."""
    monkeypatch.chdir(tmp_path)
    Path("old.txt").write_text("a b c\nb a c\nc a b\n")
    Path("new.tsv").write_text("a\t1\tb\t.9\na\t2\td\t.8\nb\t1\ta\t.9\nb\t2\tc\t.9\nd\t1\ta\t.5\n")
    Path("counts.csv").write_text("item,count\na,10\nb,5\nc,5\nd,1\n")
    return tmp_path


def test_figures_are_tab_separated_in_a_pipe(run: Run, exports: Path) -> None:
    result = succeed(run, "diff", "old.txt", "new.tsv", "--worst", 1, "--counts", "counts.csv")
    assert result.err == ""
    assert result.out == (
        "lists\t3\t3\n"
        "lists in both\t2\t\n"
        "lists lost\t1\t\n"
        "lists gained\t1\t\n"
        "results\t6\t5\n"
        "items listed\t3\t4\n"
        "items lost\t0\t\n"
        "items gained\t1\t\n"
        "lists unchanged\t1\t\n"
        "overlap@2\t0.5000\t\n"
        "rank-biased overlap\t0.5167\t\n"
        "popularity\t0.6667\t0.6200\n"
        "a\t0.5000\t0.5500\tc\td\n"
    )


def test_json_contains_the_figures_and_the_worst_lists(run: Run, exports: Path) -> None:
    message = json.loads(succeed(run, "diff", "old.txt", "new.tsv", "--json", "-n", 1).out)
    assert message["overlap@1"] == message["rank-biased overlap"] == 0.6667  # the list of c is gone
    assert message["worst"] == []
    (row,) = json.loads(succeed(run, "diff", "old.txt", "new.tsv", "--json").out)["worst"]
    assert row == {"item": "a", "overlap@2": 0.5, "rbo": 0.55, "lost": ["c"], "gained": ["d"]}


def test_fail_under_exits_with_1_below_the_limit(run: Run, exports: Path) -> None:
    assert run("diff", "old.txt", "new.tsv", "--fail-under", 0.5).code == 0
    result = run("diff", "old.txt", "new.tsv", "--fail-under", 0.8)
    assert result.code == 1
    assert result.out.startswith("lists\t3\t3\n")
    assert result.err == (
        "embedrec: the mean overlap@2 of old.txt and new.tsv is 0.5000, which is below --fail-under 0.8; "
        "inspect the most changed lists before using the new export\n"
    )


def test_lost_lists_lower_the_overlap(run: Run, exports: Path) -> None:
    """Most lists are missing in the new export; the others are unchanged."""
    Path("one.txt").write_text("a b c\n")
    assert run("diff", "old.txt", "one.txt", "--fail-under", 0.9).code == 1
    assert run("diff", "one.txt", "old.txt", "--fail-under", 0.9).code == 0  # additional lists do not lower the overlap


def test_every_format_gives_the_same_figures(run: Run, exports: Path) -> None:
    """Some formats have no empty lists."""
    Path("new.txt").write_text("a b d\nb a c\nc\nd a\n")
    for old in ("old.txt", "new.txt"):
        messages = [succeed(run, "diff", old, new).out for new in ("new.tsv", "new.txt")]
        assert messages[0] == messages[1]


def test_popularity_uses_the_counts_of_sessions(run: Run, exports: Path) -> None:
    Path("log.csv").write_text("session,item\n1,a\n1,b\n2,a\n2,c\n")
    succeed(run, "prepare", "table", "log.csv")
    message = json.loads(succeed(run, "diff", "old.txt", "new.tsv", "--json", "--sessions", "log").out)
    assert message["popularity"] == [0.6667, 0.6]


def test_invalid_files_and_options_are_refused(run: Run, exports: Path) -> None:
    Path("v.vec").write_text("1 1\na 1\n")
    Path("names.csv").write_text("item,name\na,A\n")
    for words, code, message in (
        (("old.txt", "none.txt"), 1, "no file none.txt; check the path"),
        (
            ("old.txt", "v.vec"),
            1,
            "v.vec contains vectors; compare exports of lists (text, tsv, csv, jsonl, redis, parquet)",
        ),
        (("old.txt", "new.tsv", "--p", 1), 1, "p must be between 0 and 1; it is 1.0"),
        (
            ("old.txt", "new.tsv", "--counts", "names.csv"),
            1,
            "names.csv needs a column 'count' of numbers; rename the column",
        ),
        (
            ("old.txt", "new.tsv", "--counts", "names.csv", "--sessions", "x"),
            2,
            "--counts and --sessions are mutually exclusive; give one of them",
        ),
    ):
        result = run("diff", *words)
        assert (result.code, result.out) == (code, "")
        assert result.err.splitlines()[-1].removeprefix("embedrec: ").removeprefix("Error: ") == message
