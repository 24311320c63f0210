"""`embedrec run` and `report`: exactly what they print, as text and as JSON, and how they fail."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run, succeed
from tests.cli.experiment_cases import EXPERIMENT

TABLE = """
[[table]]
title = "A table"
columns = ["recall@2"]
rows = [{label = "most popular", model = "popular", article = [".5"]}]
note = "A note."
"""
NEVER = """\
prepare\trun\tnever done
split\trun\tnever done
train popular\trun\tnever done
train ar\trun\tnever done
compare\trun\tnever done
export similar.txt\trun\tnever done
"""


def run_output(run: Run, *args: object) -> str:
    return succeed(run, "run", "study.toml", "--data", "data", *args).out


def test_a_dry_run_prints_the_plan_and_writes_nothing(run: Run, experiment: Path) -> None:
    result = succeed(run, "run", "study.toml", "--data", "data", "--dry-run")
    assert (result.out, result.err) == (NEVER, "")
    assert sorted(f.name for f in experiment.iterdir()) == ["data", "study.toml"]


def test_the_plan_after_a_run_contains_changed_steps_only(run: Run, experiment: Path) -> None:
    run_output(run)
    assert run_output(run, "--dry-run") == NEVER.replace("run\tnever done", "skip\tnothing changed")
    assert run_output(run, "--dry-run", "--from", "compare") == NEVER.replace(
        "run\tnever done", "skip\tnothing changed"
    ).replace(
        "compare\tskip\tnothing changed\nexport similar.txt\tskip\tnothing changed",
        "compare\trun\t--from compare\nexport similar.txt\trun\t--from compare",
    )
    (experiment / "study.toml").write_text(
        EXPERIMENT.replace('model = "popular"\n', 'model = "popular"\nset = {days = 3}\n')
    )
    assert run_output(run, "--dry-run", "--json").splitlines()[2:5] == [
        '{"step": "train popular", "does": "run", "why": "settings changed: settings.days"}',
        '{"step": "train ar", "does": "skip", "why": "nothing changed"}',
        '{"step": "compare", "does": "may run", "why": "after train popular"}',
    ]


def test_a_run_prints_the_comparison(run: Run, experiment: Path) -> None:
    first = succeed(run, "run", "study.toml", "--data", "data")
    messages = [line for line in first.err.splitlines() if line.startswith(("run", "done", "leak"))]
    assert [line for line in messages if line.startswith("run")] == [
        f"run {line.split(chr(9))[0]}: never done" for line in NEVER.splitlines()
    ]
    assert "leak check: none of the 3 held-out sessions has the id of a training session" in messages
    comparison = succeed(run, "compare", "popular", "ar", "--sessions", "plays-tail", "--at", "2", "--draws", "0",
                      "--metrics", "recall@2")  # fmt: skip
    assert [row[:2] for row in first.rows] == [row[:2] for row in comparison.rows]
    second = succeed(run, "run", "study.toml", "--data", "data")
    assert second.out == first.out
    assert second.err == "".join(f"skip {line.split(chr(9))[0]}: nothing changed\n" for line in NEVER.splitlines())
    exported = (experiment / "similar.txt").read_text()
    succeed(run, "export", "other.txt", "--model", "ar")
    assert (experiment / "other.txt").read_text() == exported


def test_a_run_prints_its_tables(run: Run, experiment: Path) -> None:
    (experiment / "study.toml").write_text(EXPERIMENT + TABLE)
    result = succeed(run, "run", "study.toml", "--data", "data")
    head, row = result.rows
    assert head == ["", "recall@2", "recall@2, article"]
    assert succeed(run, "run", "study.toml", "--data", "data", "--no-header").rows == [row]
    assert (row[0], row[2]) == ("most popular", ".5") and 0 <= float(row[1]) <= 1
    assert result.err.endswith("s\nA table (A note.)\n")
    (line,) = succeed(run, "run", "study.toml", "--data", "data", "--json").out.splitlines()
    assert json.loads(line) == {"table": "A table", "": row[0], "recall@2": row[1], "recall@2, article": ".5"}


def test_a_run_without_a_comparison_prints_its_steps(run: Run, experiment: Path) -> None:
    (experiment / "study.toml").write_text(EXPERIMENT[: EXPERIMENT.index("[[train]]")])
    assert run_output(run) == "prepare\trun\tnever done\nsplit\trun\tnever done\n"
    assert run_output(run) == "prepare\tskip\tnothing changed\nsplit\tskip\tnothing changed\n"


def test_the_json_log_contains_the_events_of_all_steps(run: Run, experiment: Path) -> None:
    result = succeed(run, "run", "study.toml", "--data", "data", "--log-json")
    events = [json.loads(line) for line in result.err.splitlines()]
    assert all(list(event)[:3] == ["at", "step", "event"] for event in events)
    steps = [(e["step"], e["event"]) for e in events if e["event"] in ("begin", "done", "skip")]
    names = [line.split("\t")[0] for line in NEVER.splitlines()]
    assert steps == [(name, event) for name in names for event in ("begin", "done")]
    judged = [e for e in events if e["event"] == "judged"]
    assert [(e["step"], e["model"]) for e in judged] == [("compare", "popular"), ("compare", "ar")]
    second = succeed(run, "run", "study.toml", "--data", "data", "--log-json")
    assert {json.loads(line)["event"] for line in second.err.splitlines()} == {"skip"}


@pytest.mark.parametrize(("words", "begin_events"), [("run none.toml", 0), ("run study.toml --data bad", 1)])
def test_the_error_is_the_last_line_of_the_log(run: Run, experiment: Path, words: str, begin_events: int) -> None:
    (experiment / "bad").mkdir()
    (experiment / "bad" / "plays.csv").touch()
    result = run(*words.split(), "--log-json")
    events = [json.loads(line) for line in result.err.splitlines()]
    assert (result.code, result.out, [e["event"] for e in events]) == (1, "", [*["begin"] * begin_events, "failed"])
    assert events[-1]["said"].startswith("step prepare: " if begin_events else "no settings file none.toml")
    assert run(*words.split()).err.splitlines()[-1] == f"embedrec: {events[-1]['said']}"  # a log of text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run none.toml", "no settings file none.toml; check the path"),
        ("run study.toml", "study.toml needs a data folder ({data}/plays.csv); pass it with --data"),
        ("run study.toml --data data --from trian", "no step is called 'trian'; did you mean 'train' or 'train ar'?"),
        ("run study.toml --data nowhere", "no file or folder nowhere/plays.csv, which [prepare] reads; check the path"),
        ("run study.toml --data nowhere --dry-run", "no file or folder nowhere/plays.csv, which [prepare] reads"),
    ],
)
def test_invalid_requests_are_refused(run: Run, experiment: Path, words: str, message: str) -> None:
    result = run(*words.split())
    assert result.code == 1 and result.out == ""
    assert result.err.splitlines()[-1].startswith(f"embedrec: {message}")


def test_a_missing_plot_package_stops_before_the_work(
    run: Run, experiment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = '[[train]]\nmodel = "sknn"\n[[evaluate]]\nmodel = "sknn"\ngrid = true\nneighbours = [1, 2]\nat = [1, 2]\n'
    (experiment / "study.toml").write_text(EXPERIMENT[: EXPERIMENT.index("[[train]]")] + grid)
    run_output(run)
    assert (experiment / "studies" / "study" / "evaluate-sknn" / "grid.csv").is_file()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("run", "study.toml", "--data", "data", "--from", "evaluate")
    assert result.code == 1 and "step evaluate sknn: " in result.err and "pip install" in result.err
