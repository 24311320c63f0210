"""`embedrec tune`: what it prints and writes, that it resumes, and how it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run, succeed


@pytest.fixture
def sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, playlists: Path, run: Run) -> Path:
    monkeypatch.chdir(tmp_path)
    succeed(run, "prepare", "mpd", playlists)
    succeed(run, "split", "random:share=.2")
    return tmp_path


TUNE = ("tune", "sknn", "--space", "neighbours=1..200 log", "--at", "5", "--metric", "mrr@5")


def test_the_written_settings_are_valid_for_train(run: Run, sessions: Path) -> None:
    result = succeed(run, *TUNE, "--trials", 4)
    assert [row[0] for row in sorted(result.rows)] == ["1", "2", "3", "4"]
    values = [float(row[2]) for row in result.rows]
    assert values == sorted(values, reverse=True)
    notes = result.err.splitlines()
    assert notes[0] == "using sessions mpd-artist-random (sessions/mpd-artist-random)"
    assert notes[1].startswith(
        "split random:share=0.2 of the training part: 256 training sessions, 64 in the validation"
    )
    assert notes[-1] == "wrote tuning/sknn.toml; train with it: embedrec train sknn --config tuning/sknn.toml"
    text = (sessions / "tuning" / "sknn.toml").read_text()
    assert text.startswith(
        f"# mrr@5 {values[0]:.4f} on the validation part, the best of 4 trials: embedrec tune sknn\n"
    )
    assert f"neighbours = {result.rows[0][4]}\n" in text
    succeed(run, "train", "sknn", "--config", "tuning/sknn.toml")
    evaluated = succeed(run, "evaluate", "sknn", "--config", "tuning/sknn.toml", "--valid", "--at", "5", "--json")
    assert json.loads(evaluated.out)["mrr@5"] == pytest.approx(values[0], abs=1e-4)


def test_a_search_resumes(run: Run, sessions: Path) -> None:
    succeed(run, *TUNE, "--trials", 2)
    result = succeed(run, *TUNE, "--trials", 3)
    assert "resumed: 2 of 3 trials were already done (tuning/sknn.jsonl)" in result.err
    assert len(result.rows) == 3
    failed = run(*TUNE, "--trials", 3, "--seed", 5)
    assert failed.code == 1
    assert "tuning/sknn.jsonl belongs to a search with different seed" in failed.err
    assert len(succeed(run, *TUNE, "--trials", 1, "--seed", 5, "--anew").rows) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("random", "random declares no search space; pass one, such as --space KEY=1..100"),
        ("skn", "no model is called 'skn'; did you mean 'sknn'"),
        ("sknn --space neighbours=5..1", "the space of neighbours must increase, but is '5..1'"),
        ("sknn --space neighbours", "--set takes key=value, but 'neighbours' has no '='"),
        (
            "sknn --space neighbours=1..9 --set neighbours=3",
            "'neighbours' is in both --space and --set; leave out one",
        ),
        ("sknn --name ../x", "'../x' cannot name a search; use letters"),
        ("sknn --trials 1 --metric recal@20", "unknown metric 'recal@20'; valid are hit_rate@20"),
    ],
)
def test_invalid_requests_are_refused(run: Run, sessions: Path, words: str, message: str) -> None:
    result = run("tune", *words.split())
    assert result.code == 1 and result.out == ""
    assert result.err.splitlines()[-1].startswith(f"embedrec: {message}")
