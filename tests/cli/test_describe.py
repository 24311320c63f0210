"""`info --sessions`, exactly as it prints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedrec.data import Sessions
from embedrec.splitting.holdout import HeldOut
from embedrec.storage import artifacts
from tests.cli.conftest import Run, walked
from tests.conftest import of_lists

LISTS = ["ab", "aab", "abcdefgh", "aa", "ba", "abababab", "c"]


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sessions:
    """Sessions with times and users, as the artifact letters of the current folder."""
    monkeypatch.chdir(tmp_path)
    sessions = of_lists(LISTS).drop_unused_items()
    times = 1_700_000_000_000 + np.arange(len(sessions.items)) * 60_000
    sessions = replace(sessions, times=times, users=np.arange(len(sessions)) % 4)
    sessions.save(Path("sessions", "letters"), {"sessions": 7, "items": 8, "events": 26})
    return sessions


FACTS = """\
sessions	7
items	8
events	26
users	4
first	2023-11-14T22:13:20Z
last	2023-11-14T22:38:20Z
lengths.min	1
lengths.median	2.0000
lengths.mean	3.7143
lengths.p90	8
lengths.p99	8
lengths.max	8
sparsity	0.6786
repeats	0.3077
top_1	0.4231
top_10	0.4231
gini	0.5192
median_item	1.0000
"""
HISTOGRAM = """\
1	1	█████████████▍
2	3	████████████████████████████████████████
3-4	1	█████████████▍
5-8	2	██████████████████████████▋
"""


def test_in_a_pipe(run: Run, prepared: Sessions) -> None:
    ran = walked(run, "info", "--sessions")
    assert ran.err == "using sessions letters (sessions/letters)\n"
    assert ran.out == FACTS + HISTOGRAM
    assert walked(run, "info", "--sessions", "letters").out == FACTS + HISTOGRAM


def test_as_json(run: Run, prepared: Sessions) -> None:
    (line,) = walked(run, "info", "--sessions", "--json").out.splitlines()
    said = json.loads(line)
    assert said["name"] == "letters"
    assert (said["sessions"], said["first"], said["held_out"]) == (7, 1_700_000_000_000, None)
    assert said["lengths"]["median"] == 2.0
    assert said["histogram"][2] == {"least": 3, "most": 4, "sessions": 1}


def test_with_a_held_out_part(run: Run, prepared: Sessions) -> None:
    held_out = HeldOut(prepared.take(np.array([1, 2])), np.array([1, 4]))
    with artifacts.writing(Path("sessions", "split"), "sessions", {"sessions": 7, "items": 8, "events": 26}) as draft:
        prepared.write(draft)
        held_out.write(draft)
    facts = "held_out.sessions\t2\nheld_out.items\t8\nheld_out.events\t11\nheld_out.given\t5\n"
    assert walked(run, "info", "--sessions", "split").out == FACTS + facts + HISTOGRAM
    said = json.loads(walked(run, "info", "--sessions", "split", "--json").out)
    assert said["held_out"] == {"sessions": 2, "items": 8, "events": 11, "given": 5}


def test_unknown_sessions(run: Run, prepared: Sessions) -> None:
    ran = run("info", "--sessions", "lettres")
    assert (ran.code, ran.out) == (1, "")
    assert "did you mean 'letters'?" in ran.err
