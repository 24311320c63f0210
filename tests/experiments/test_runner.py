"""Runs of experiments: which steps run and why, interruptions, and errors."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.errors import ArtifactError, SettingsError
from embedrec.experiments.runner import plan, run_experiment
from embedrec.experiments.session_steps import Prepare
from embedrec.experiments.step import Experiment, StepContext, identity
from embedrec.storage import artifacts
from embedrec.storage.artifacts import FOLDERS
from tests.experiments.conftest import LIGHT, Finished, Opened, planned_steps, steps_run

NAMES = [
    "prepare", "split", "train popular", "train vectors", "train cooccurrence", "index vectors-flat",
    "evaluate vectors", "compare", "export similar.txt", "tables",
]  # fmt: skip


def test_a_run_executes_all_steps_and_the_next_run_none(open_experiment: Opened) -> None:
    experiment, context = open_experiment(LIGHT)
    assert planned_steps(experiment, context) == dict.fromkeys(NAMES, "run: never done")
    assert steps_run(experiment, context) == NAMES
    assert planned_steps(experiment, context) == {}
    assert steps_run(experiment, context) == []
    for folder in [f for kind in FOLDERS for f in context.workspace.folders(kind)]:
        artifacts.read(folder).check()
    assert len((context.workspace.root / "similar.txt").read_text().splitlines()) == 48


def test_files_with_new_times_are_only_read_again(open_experiment: Opened, tmp_path: Path, toy_mpd: Path) -> None:
    """The files have new times and equal content: the sessions are the same, and no later step runs."""
    data = tmp_path / "data"
    shutil.copytree(toy_mpd, data / "mpd")
    experiment, context = open_experiment(LIGHT.replace("{data}", str(data / "mpd")))
    run_experiment(experiment, context)
    for file in (data / "mpd" / "train").iterdir():
        os.utime(file, (1, 1))
    paths = f"input changed: {data / 'mpd' / 'train'}"
    assert planned_steps(experiment, context) == {
        "prepare": f"run: {paths}",
        "split": "may run: after prepare",
        **{f"train {name}": "may run: after split" for name in ("popular", "vectors", "cooccurrence")},
        "index vectors-flat": "may run: after train vectors",
        "evaluate vectors": "may run: after train vectors",
        "compare": "may run: after train popular, train vectors",
        "export similar.txt": "may run: after train cooccurrence",
        "tables": "may run: after split, compare",
    }
    assert steps_run(experiment, context) == ["prepare"]


def test_changed_data_run_all_steps_again(open_experiment: Opened, tmp_path: Path, toy_mpd: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(toy_mpd, data)
    experiment, context = open_experiment(LIGHT.replace("{data}", str(data)))
    run_experiment(experiment, context)
    (file,) = (data / "train").iterdir()
    slice_ = json.loads(file.read_text())
    slice_["playlists"] = slice_["playlists"][:-30]
    file.write_text(json.dumps(slice_))
    assert steps_run(experiment, context) == NAMES


def test_a_run_from_a_step_executes_it_and_all_later_steps(finished: Finished) -> None:
    experiment, context = finished
    planned = planned_steps(experiment, context, start="compare")
    assert planned == dict.fromkeys(("compare", "export similar.txt", "tables"), "run: --from compare")
    assert steps_run(experiment, context, start="train cooccurrence") == NAMES[4:]
    assert steps_run(experiment, context, start="train") == NAMES[2:]
    for call in (plan, run_experiment):
        with pytest.raises(SettingsError, match="no step is called 'compar'; did you mean 'compare'"):
            call(experiment, context, start="compar")


def test_an_interrupted_run_from_a_step_is_completed_by_the_next_run(finished: Finished) -> None:
    """The next run executes the remaining steps of a run with --from."""
    experiment, context = finished

    def report(event: str, **values: Any) -> None:
        if event == "begin" and values["step"] == "evaluate vectors":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(experiment, context, start="index", report=report)
    assert planned_steps(experiment, context) == dict.fromkeys(NAMES[6:], "run: never done")
    assert steps_run(experiment, context) == NAMES[6:]


def test_from_resumes_an_interrupted_training(open_experiment: Opened) -> None:
    experiment, context = open_experiment(BRIEF)

    def report(event: str, **values: Any) -> None:
        if event == "epoch" and "examples_per_second" in values and values["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(experiment, context, report=report)
    events: list[str] = []
    run_experiment(experiment, context, start="train", report=lambda event, **values: events.append(event))
    assert "resumed" in events


def test_operating_system_errors_name_the_step(open_experiment: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment, context = open_experiment(BRIEF)
    error: OSError = IsADirectoryError(21, "Is a directory", "models")

    def run(*_: object) -> None:
        raise error

    monkeypatch.setattr(Prepare, "run", run)
    with pytest.raises(ArtifactError) as caught:
        run_experiment(experiment, context)
    assert (
        str(caught.value) == "step prepare: operating system error: Is a directory (models); no partial output remains"
    )
    error = BrokenPipeError(32, "Broken pipe")  # of stderr, which the command line handles
    with pytest.raises(BrokenPipeError):
        run_experiment(experiment, context)


def test_errors_name_the_step(open_experiment: Opened) -> None:
    experiment, context = open_experiment(LIGHT.replace('fact = "sessions"', 'fact = "sesions"'))
    with pytest.raises(SettingsError) as error:
        run_experiment(experiment, context)
    message = "step tables: no fact of the sessions is called 'sesions'; did you mean 'sessions'"
    assert str(error.value).startswith(message)
    assert planned_steps(experiment, context) == {"tables": "run: was interrupted"}


def test_a_second_run_at_the_same_time_is_refused(open_experiment: Opened) -> None:
    experiment, context = open_experiment(LIGHT)

    def again(event: str, **values: Any) -> None:
        if event == "begin" and values["step"] == "split":
            run_experiment(experiment, context)

    with pytest.raises(ArtifactError, match="another run of this experiment is active"):
        run_experiment(experiment, context, report=again)


def outputs_of(experiment: Experiment, context: StepContext) -> dict[str, Any]:
    """The identity of every output."""
    return {step.id: identity(step.path(context)) for step in experiment.steps}


SCRIPT = """
import sys
from pathlib import Path
from embedrec.experiments.parse import read_experiment
from embedrec.experiments.runner import run_experiment, step_context
from embedrec.storage.workspace import Workspace
experiment = read_experiment(Path(sys.argv[1]), data=sys.argv[2])
print("begun", flush=True)
run_experiment(experiment, step_context(experiment, Workspace(Path(sys.argv[3]))))
"""


def test_a_killed_run_is_completed_by_the_next_run(open_experiment: Opened, tmp_path: Path, toy_mpd: Path) -> None:
    """A run is killed twice at random times; the outputs of the third one equal those of an uninterrupted run."""
    experiment, whole = open_experiment(LIGHT)
    started = time.monotonic()
    run_experiment(experiment, whole)
    seconds = time.monotonic() - started
    _, context = open_experiment(LIGHT, folder="killed")
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "small.toml"), str(toy_mpd), str(context.workspace.root)]
    for share in np.random.default_rng(int.from_bytes(os.urandom(4))).uniform(0.1, 1.0, 2):
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        time.sleep(share * seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    run_experiment(experiment, context)
    assert outputs_of(experiment, context) == outputs_of(experiment, whole)
    assert planned_steps(experiment, context) == {}


BRIEF = """\
[prepare]
source = "mpd"
paths = ["{data}/train"]
[[train]]
model = "two-tower"
set = {dim = 8, epochs = 3}
"""


def test_an_interrupted_training_resumes(open_experiment: Opened) -> None:
    experiment, whole = open_experiment(BRIEF)
    run_experiment(experiment, whole)
    _, context = open_experiment(BRIEF, folder="stopped")
    events: list[tuple[str, Any]] = []

    def report(event: str, **values: Any) -> None:
        events.append((event, values.get("epoch")))
        if event == "epoch" and "examples_per_second" in values and values["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(experiment, context, report=report)
    events.clear()
    assert planned_steps(experiment, context)["train two-tower"] == "run: was interrupted"
    run_experiment(experiment, context, report=lambda event, **values: events.append((event, values.get("epoch"))))
    assert ("resumed", 2) in events
    assert outputs_of(experiment, context) == outputs_of(experiment, whole)
    assert not (context.workspace.root / "checkpoints" / "two-tower").exists()
