"""A small experiment, and helpers of the tests of experiments."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embedrec.experiments.parse import read_experiment
from embedrec.experiments.runner import plan, run_experiment, step_context
from embedrec.experiments.session_steps import Prepare
from embedrec.experiments.step import Experiment, Links, StepContext
from embedrec.experiments.train_step import Train
from embedrec.progress import quiet
from embedrec.storage.workspace import Workspace
from tests.experiments.toys import write_toy

SMALL = """\
title = "A small experiment"

[prepare]
source = "mpd"
paths = ["{data}/train"]

[split]
rule = "random"
share = 0.2

[ask]
at = [5, 10]
draws = 20

[[train]]
model = "popular"

[[train]]
model = "word2vec"
name = "vectors"
set = {dim = 8, epochs = 2}
grid = {window = [2, 5], min_count = [1, 2]}
best = "mrr@10"

[[train]]
model = "two-tower"
set = {dim = 8, epochs = 3}

[[train]]
model = "cooccurrence"

[[index]]
model = "vectors"
type = "flat"

[[evaluate]]
model = "vectors"
protocol = "similar"

[compare]
models = ["popular", "vectors", "two-tower"]

[[export]]
file = "similar.txt"
model = "cooccurrence"
n = 5

[[table]]
title = "What comes next"
columns = ["recall@10", "mrr@10"]
rows = [
  {label = "most popular", model = "popular", article = [".1", ".2"]},
  {label = "word2vec", model = "vectors"},
]
note = "Nothing is like it."

[[table]]
title = "Data"
rows = [{label = "playlists", fact = "sessions", article = ["400"]}, {label = "asked", fact = "test.sessions"}]
"""
LIGHT = SMALL.replace('[[train]]\nmodel = "two-tower"\nset = {dim = 8, epochs = 3}\n', "").replace(
    ', "two-tower"]', "]"
)
Opened = Callable[..., tuple[Experiment, StepContext]]
Finished = tuple[Experiment, StepContext]


def steps_run(experiment: Experiment, context: StepContext, **options: Any) -> list[str]:
    """The ids of the steps that a run executes."""
    return [planned.step for planned in run_experiment(experiment, context, **options) if planned.does == "run"]


def planned_steps(experiment: Experiment, context: StepContext, **options: Any) -> dict[str, str]:
    """What a run would do: id of a step → "run: why" or "may run: why"; steps that it would skip are left out."""
    planned = plan(experiment, context, **options)
    return {step.step: f"{step.does}: {step.why}" for step in planned if step.does != "skip"}


@pytest.fixture(scope="session")
def toy_mpd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy("mpd", tmp_path_factory.mktemp("mpd"))


@pytest.fixture(scope="session")
def light_work(tmp_path_factory: pytest.TempPathFactory, toy_mpd: Path) -> Path:
    """A workspace in which LIGHT has run."""
    folder = tmp_path_factory.mktemp("light")
    (folder / "small.toml").write_text(LIGHT)
    experiment = read_experiment(folder / "small.toml", data=str(toy_mpd))
    run_experiment(experiment, step_context(experiment, Workspace(folder / "work")))
    return folder / "work"


@pytest.fixture
def finished(open_experiment: Opened, light_work: Path, tmp_path: Path) -> Finished:
    """LIGHT and a workspace of the test in which it has run."""
    shutil.copytree(light_work, tmp_path / "work")
    return open_experiment(LIGHT)


@pytest.fixture
def open_experiment(tmp_path: Path, toy_mpd: Path) -> Opened:
    """A function that reads an experiment from a text, for a workspace of the test."""

    def open_experiment(text: str = SMALL, *, folder: str = "work") -> tuple[Experiment, StepContext]:
        (tmp_path / "small.toml").write_text(text)
        experiment = read_experiment(tmp_path / "small.toml", data=str(toy_mpd))
        return experiment, step_context(experiment, Workspace(tmp_path / folder))

    return open_experiment


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    """A workspace and a file of three sessions, the middle one short."""
    (tmp_path / "log.csv").write_text("session,item\n1,a\n1,b\n2,a\n3,b\n3,c\n3,a\n")
    return StepContext(Workspace(tmp_path), tmp_path / "studies" / "small")


@pytest.fixture
def svd_context(context: StepContext) -> StepContext:
    """The workspace with the sessions "log" and the model "svd"."""
    path = str(context.workspace.root / "log.csv")
    Prepare(source="table", paths=(path,), name="log", options={"min_length": 1}).run(context, quiet)
    links = Links(sessions="log")
    Train(model="svd", name="svd", set={"dim": 2, "min_count": 1}, links=links).run(context, quiet)
    return context
