"""Notes of `prepare` on regrouping and filters, and its manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run, succeed

CLICKS = """\
visit,sku,clicked_at,stars,what
v1,a,2024-05-01T10:00:00,5,click
v1,b,2024-05-01T10:01:00,4,click
v1,b,2024-05-01T10:02:00,2,buy
v1,c,2024-05-01T12:00:00,3,click
v1,a,2024-05-01T12:01:00,5,click
v2,a,2024-05-04T09:00:00,1,click
v2,b,2024-05-04T09:30:00,4,buy
"""
COLUMNS = ("--session", "visit", "--item", "sku", "--time", "clicked_at", "--weight", "stars", "--kind", "what")


@pytest.fixture
def clicks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with clicks.csv in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clicks.csv").write_text(CLICKS)
    return tmp_path


@pytest.mark.parametrize(
    ("options", "message", "result"),
    [
        ("", "--min-length 2 removed 0 sessions, 0 items, 0 events\n", "2\t3\t7\n"),
        (
            "--gap 30min",
            "--gap 30min regrouped 2 sessions into 3\n--min-length 2 removed 0 sessions, 0 items, 0 events\n",
            "3\t3\t7\n",
        ),
        (
            "--kinds click --kinds buy --min-rating 2.5 --days 4 --min-tracks 2",
            "--kinds click,buy removed 0 sessions, 0 items, 0 events\n"
            "--min-rating 2.5 removed 0 sessions, 0 items, 2 events\n"
            "--days 4 removed 0 sessions, 0 items, 0 events\n"
            "--min-tracks 2 removed 1 sessions, 0 items, 1 events\n"
            "--min-length 2 removed 0 sessions, 0 items, 0 events\n",
            "1\t3\t4\n",
        ),
        (
            "--days 1",
            "--days 1 removed 1 sessions, 1 items, 5 events\n--min-length 2 removed 0 sessions, 0 items, 0 events\n",
            "1\t2\t2\n",
        ),
        (
            "--duplicates consecutive --max-length 2 --long cut",
            "--duplicates consecutive removed 0 sessions, 0 items, 1 events\n"
            "--min-length 2 removed 0 sessions, 0 items, 0 events\n"
            "--max-length 2 removed 0 sessions, 0 items, 2 events\n",
            "2\t3\t4\n",
        ),
        (
            "--duplicates all --duplicates-at end --min-length 5",
            "--min-length 5 removed 1 sessions, 0 items, 2 events\n"
            "--duplicates all removed 0 sessions, 0 items, 2 events\n",
            "1\t3\t3\n",
        ),
        (
            "--gap 30min --min-count 2 --min-length 2",
            "--gap 30min regrouped 2 sessions into 3\n"
            "--min-count 2 removed 0 sessions, 1 items, 1 events\n"
            "--min-length 2 removed 1 sessions, 0 items, 1 events\n",
            "2\t2\t5\n",
        ),
    ],
)
def test_every_filter_notes_what_it_removed(run: Run, clicks: Path, options: str, message: str, result: str) -> None:
    printed = succeed(run, "prepare", "table", "clicks.csv", *COLUMNS, *options.split())
    assert printed.out == result
    assert printed.err == message + "wrote sessions clicks (sessions/clicks)\n"


def test_filters_in_rounds_note_the_number_of_rounds(run: Run, clicks: Path) -> None:
    (clicks / "words.csv").write_text("session,item\n" + "".join(f"{s},{i}\n" for s, i in ROUNDS))
    result = succeed(run, "prepare", "table", "words.csv", "--min-count", 2)
    assert result.err.splitlines()[:-1] == [
        "columns session=session item=item time=none",
        "--min-count 2 removed 0 sessions, 2 items, 2 events in 2 rounds",
        "--min-length 2 removed 1 sessions, 0 items, 1 events in 2 rounds",
        "stable after 2 rounds",
    ]
    about = json.loads(succeed(run, "info", "words", "--json").out)
    assert [(r["filter"], r["rounds"]) for r in about["removed"]] == [("min_count", 2), ("min_length", 2)]
    assert about["filters"]["rounds"] is None
    result = succeed(run, "prepare", "table", "words.csv", "--min-count", 2, "--rounds", 2)
    assert result.err.splitlines()[3] == "stopped after 2 rounds"
    result = succeed(run, "prepare", "table", "words.csv", "--min-count", 2, "--rounds", 1)
    assert result.err.splitlines()[1:-1] == [
        "--min-count 2 removed 0 sessions, 1 items, 1 events",
        "--min-length 2 removed 1 sessions, 0 items, 1 events",
    ]


ROUNDS = [(1, i) for i in "ababab"] + [(2, i) for i in "abc"] + [(3, i) for i in "cd"]


def test_the_manifest_records_regrouping_and_filters(run: Run, clicks: Path) -> None:
    succeed(run, "prepare", "table", "clicks.csv", *COLUMNS, "--user", "visit", "--by", "user", "--gap", "1h")
    about = json.loads(succeed(run, "info", "clicks", "--json").out)
    assert about["read"] == {"events": 7, "sessions": 2, "items": 3}
    assert about["regrouped"] == {"by": "user", "gap": "1h", "sessions": 3}
    assert about["filters"]["duplicates"] == "none"
    assert about["removed"] == [
        {"filter": "min_length", "setting": 2, "sessions": 0, "items": 0, "events": 0, "rounds": 1}
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--gap 30", "a gap must be a duration in s, min, h or d, such as 30min or 1.5h, but is '30'"),
        ("--by user", "sessions by user need the user of every event, but the data has none; name its column"),
        ("--kinds by", "no event is of kind 'by'; did you mean 'buy'?; available kinds are click, buy"),
        (
            "--gap 30min --min-count 3",
            "the filter min_count = 3 removed the last of 7 events; relax it or an earlier filter",
        ),
        ("--min-length 3 --max-length 2", "no session can pass: min_length is 3, but max_length is 2"),
    ],
)
def test_invalid_filters_and_filters_that_remove_all_are_refused(
    run: Run, clicks: Path, options: str, message: str
) -> None:
    result = run("prepare", "table", "clicks.csv", *COLUMNS, *options.split())
    assert (result.code, result.out, result.err) == (1, "", f"embedrec: {message}\n")
    assert not (clicks / "sessions").exists()
