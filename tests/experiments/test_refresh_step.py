"""The step [[refresh]]: a night of an experiment, beside its own artifacts."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError, TargetNotMet
from embedrec.experiments.parse import read_experiment
from embedrec.experiments.refresh_step import refresh_records, refreshed_workspace
from embedrec.experiments.runner import run_experiment, step_context
from embedrec.storage.workspace import Workspace
from tests.experiments.conftest import steps_run
from tests.workflows.refresh.nights import NIGHT, clicks

EXPERIMENT = """\
[prepare]
source = "table"
paths = ["{data}/old.csv"]
name = "clicks"

[[train]]
model = "cooccurrence"

[[refresh]]
paths = ["{data}/night3.csv"]

[[refresh]]
paths = ["{data}/night4.csv"]
name = "second"
keep_days = 30

[report]
"""


def write(folder: Path, text: str) -> Path:
    (folder / "old.csv").write_text(clicks(range(3)))
    for night in (3, 4):
        (folder / f"night{night}.csv").write_text(clicks([night]))
    (folder / "nights.toml").write_text(text)
    return folder / "nights.toml"


def test_nights_follow_each_other_beside_the_artifacts_of_the_experiment(tmp_path: Path) -> None:
    experiment = read_experiment(write(tmp_path, EXPERIMENT), data=str(tmp_path))
    context = step_context(experiment, Workspace(tmp_path / "w"))
    assert steps_run(experiment, context) == ["prepare", "train cooccurrence", "refresh 1", "refresh second", "report"]
    counts = [
        len(Sessions.load(workspace.find("sessions", "clicks")))
        for workspace in (context.workspace, refreshed_workspace(context, "1"), refreshed_workspace(context, "second"))
    ]
    assert counts == [3 * NIGHT, 4 * NIGHT, 5 * NIGHT]
    (record,) = refresh_records(context, "second")
    assert record["drift"][0]["name"] == "cooccurrence" and record["refused"] == []
    assert (context.workspace.root / "report.html").read_text().count("Overlap of lists, night by night") == 1
    assert steps_run(experiment, context) == []
    (tmp_path / "night4.csv").write_text(clicks([4, 5]))
    assert steps_run(experiment, context) == ["refresh second", "report"]


def test_a_gate_that_is_asked_for_fails_the_step(tmp_path: Path) -> None:
    text = EXPERIMENT.replace("keep_days = 30", "gate = true\nmin_overlap = 1.0")
    experiment = read_experiment(write(tmp_path, text), data=str(tmp_path))
    with pytest.raises(TargetNotMet, match=r"step refresh second: model cooccurrence: overlap@20 .* is below"):
        run_experiment(experiment, step_context(experiment, Workspace(tmp_path / "w")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (EXPERIMENT.replace("keep_days", "kep_days"), r"unknown setting 'kep_days' in \[\[refresh\]\]"),
        (EXPERIMENT.replace("keep_days = 30", "k = 0"), "k must be at least 1"),
        (EXPERIMENT.replace('name = "second"', 'name = "1"'), r"\[\[refresh\]\] has '1' twice"),
        (
            EXPERIMENT.replace("[[train]]", '[split]\nrule = "tail"\n\n[[train]]'),
            "needs an experiment without .split.: it renews models",
        ),
    ],
)
def test_wrong_tables_are_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=message):
        read_experiment(write(tmp_path, text), data=str(tmp_path))
