"""The journal of a search: written, read, damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from embedrec.errors import ArtifactError, SettingsError
from embedrec.tune.journal import Journal, TrialRecord


@pytest.mark.parametrize(
    "text", ["", "{", "3\n", "[]\n", '{}\n{"number": 0}\n', '{}\n{"number": 7, "set": {}, "state": "done"}\n']
)
def test_a_damaged_journal_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "j").write_text(text)
    with pytest.raises(ArtifactError, match="is damaged; remove it to restart the search"):
        Journal.open(tmp_path / "j", {})


ABOUT = {"model": "sknn", "space": {"neighbours": (1, 9)}, "seed": 0}
TRIALS = [
    TrialRecord(0, {"neighbours": 5}, "done", 0.25, {"1": 0.1}, {"mrr@5": 0.25, "recall@5": None}, 1.5),
    TrialRecord(1, {"neighbours": 7}, "pruned", epochs={"1": 0.5, "2": 0.25}),
    TrialRecord(2, {"neighbours": 2}, "failed", reason="training diverged"),
    TrialRecord(3, {"neighbours": 9}, "done", 0.5, metrics={"mrr@5": 0.5}),
    TrialRecord(4, {"neighbours": 8}, "done", 0.5, metrics={"mrr@5": 0.5}),
]


def test_trials_are_read_as_they_were_added(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "j", ABOUT)
    assert journal.trials == [] and not (tmp_path / "j").exists()
    for number, trial in enumerate(TRIALS, 1):
        journal.add(trial)
        assert Journal.open(tmp_path / "j", ABOUT).trials == TRIALS[:number]
    lines = [json.loads(line) for line in (tmp_path / "j").read_text().splitlines()]
    assert lines[0] == {"model": "sknn", "space": {"neighbours": [1, 9]}, "seed": 0}
    assert [line["number"] for line in lines[1:]] == [0, 1, 2, 3, 4]
    assert lines[1]["set"] == {"neighbours": 5} and lines[3]["reason"] == "training diverged"


def test_the_best_trial_has_the_highest_value_and_is_the_first_of_equals(tmp_path: Path) -> None:
    for count, best in ((0, None), (1, 0), (3, 0), (4, 3), (5, 3)):
        journal = Journal(tmp_path / "j", ABOUT, TRIALS[:count])
        assert journal.best == (None if best is None else TRIALS[best])
    assert Journal(tmp_path / "j", ABOUT, TRIALS[1:3]).best is None


def test_an_interrupted_write_leaves_the_earlier_trials(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "j", ABOUT)
    journal.add(TRIALS[0])
    with pytest.raises(TypeError):
        journal.add(TrialRecord(1, {"neighbours": object()}, "done"))
    assert Journal.open(tmp_path / "j", ABOUT).trials == TRIALS[:1]
    assert [path.name for path in tmp_path.iterdir()] == ["j"]


def test_the_journal_of_another_search_is_refused(tmp_path: Path) -> None:
    Journal.open(tmp_path / "j", ABOUT).add(TRIALS[0])
    for other, names in (({**ABOUT, "seed": 1}, "seed"), ({"model": "sscf"}, "model, space, seed")):
        with pytest.raises(SettingsError) as error:
            Journal.open(tmp_path / "j", other)
        assert str(error.value) == (
            f"{tmp_path / 'j'} belongs to a search with different {names}; use another --name, or --anew"
        )
