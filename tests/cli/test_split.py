"""`embedrec split`: what it prints and writes, and how it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embedrec.splitting.holdout import HeldOut
from embedrec.storage import artifacts
from tests.cli.conftest import Run, fails, succeed
from tests.cli.evaluation_cases import SPLIT_NOTES


def test_sessions_are_split_by_time(run: Run, clicks: Path) -> None:
    result = succeed(run, "split", "time:share=.25")
    assert result.out == "9\t4\t25\t3\t9\n"
    assert result.err == SPLIT_NOTES + "wrote sessions clicks-time (sessions/clicks-time)\n"
    artifact = artifacts.read(clicks / "sessions" / "clicks-time", "sessions")
    assert artifact.about["split"]["rule"] == "time"
    held_out = HeldOut.load(artifact)
    assert held_out is not None and held_out.sessions.ids.tolist() == ["s9", "s10", "s11"]


def test_the_name_may_be_given_and_json_counts_both_parts(run: Run, clicks: Path) -> None:
    result = succeed(run, "split", "last-item", "--sessions", "clicks", "--name", "parts", "--json")
    assert json.loads(result.out) == {
        "sessions": 12, "items": 5, "events": 22, "test_sessions": 12, "test_events": 34
    }  # fmt: skip
    assert result.err.splitlines()[-1] == "wrote sessions parts (sessions/parts)"
    assert sorted(f.name for f in (clicks / "sessions").iterdir()) == ["clicks", "parts"]


def test_the_seed_selects_the_sessions(run: Run, clicks: Path) -> None:
    parts = []
    for seed, name in ((0, "a"), (0, "b"), (1, "c")):
        succeed(run, "split", "random:share=.5", "--sessions", "clicks", "--seed", seed, "--name", name)
        held_out = HeldOut.load(artifacts.read(clicks / "sessions" / name, "sessions"))
        assert held_out is not None
        parts.append(held_out.sessions.ids.tolist())
    assert parts[0] == parts[1] != parts[2]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("tine", "no split rule is called 'tine'; did you mean 'time'?"),
        ("time:7", "settings of a split are key=value, such as time:days=7, but '7' has no '='"),
        ("time", "sessions clicks-time have a held-out part already; split the sessions they were made from"),
        ("last-session --sessions clicks", "the rule needs users, but the sessions have none; use "),
        ("time --sessions click", "no sessions artifact is called 'click' in sessions; did you mean "),
    ],
)
def test_invalid_rules_are_refused(run: Run, split: Path, rule: str, message: str) -> None:
    assert fails(run, "split", *rule.split()).startswith(message)
    assert sorted(f.name for f in (split / "sessions").iterdir()) == ["clicks", "clicks-time"]


def test_an_empty_workspace_names_the_next_command(run: Run, tmp_path: Path) -> None:
    assert "embedrec prepare" in fails(run, "split", "time", "--workspace", tmp_path)
