"""A grid of settings of [[train]]: every combination is evaluated on a validation part, and the best one is trained."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from embedrec.experiments.grid_search import SettingsGrid, best_recipe, validation
from embedrec.experiments.runner import run_experiment
from embedrec.experiments.step import StepContext
from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.workflows.evaluation_options import EvaluationOptions
from tests.conftest import LISTS, of_lists
from tests.experiments.conftest import LIGHT, Finished, Opened

ASK = EvaluationOptions(split="last-item", at=(1, 2))


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    """A workspace with sessions of twelve lists, each five times."""
    sessions = of_lists(LISTS * 5).drop_unused_items()
    about = {"sessions": len(sessions), "items": len(sessions.vocab), "events": len(sessions.items)}
    workspace = Workspace(tmp_path)
    sessions.save(workspace.folder("sessions", "plays"), about)
    return StepContext(workspace, tmp_path / "studies" / "small")


def grid_of(*thresholds: int) -> SettingsGrid:
    """A grid of a count model over its threshold; above 60 the model has no pairs and recommends nothing."""
    recipes = tuple(Cooccurrence(measure="raw", threshold=threshold) for threshold in thresholds)
    return SettingsGrid("counts", ("threshold",), recipes, "mrr@2", 0)


def search(context: StepContext, *thresholds: int) -> tuple[Any, list[dict[str, Any]], list[str]]:
    """The best recipe, the rows of the CSV file, and the events of a search."""
    events: list[str] = []
    source = context.workspace.find("sessions", "plays")
    best = best_recipe(grid_of(*thresholds), ASK, source, context, lambda event, **_: events.append(event))
    with (context.folder / "grids" / "counts.csv").open(newline="") as file:
        return best, list(csv.DictReader(file)), events


def test_the_recipe_with_the_highest_metric_is_best(context: StepContext) -> None:
    best, rows, events = search(context, 1000, 1, 500)
    assert best.threshold == 1
    assert [row["threshold"] for row in rows] == ["1", "1000", "500"]  # equal rows keep their order
    assert list(rows[0])[:2] == ["threshold", "hit_rate@1"] and "train_seconds" in rows[0]
    assert float(rows[0]["mrr@2"]) > 0 == float(rows[1]["mrr@2"]) == float(rows[2]["mrr@2"])
    assert [event for event in events if event in ("tried", "chosen")] == ["tried"] * 3 + ["chosen"]


def test_stored_metrics_are_reused(context: StepContext) -> None:
    """A combination is identified by its settings, the sessions and the evaluation; damaged files are ignored."""
    search(context, 1, 1000)
    files = {file.name: file for file in (context.folder / "grids" / "counts").iterdir()}
    assert len(files) == 2
    for file in files.values():
        file.write_text(json.dumps(json.loads(file.read_text()) | {"mrr@2": 0.5}))
    assert [row["mrr@2"] for row in search(context, 1, 1000, 500)[1]] == ["0.5", "0.5", "0.0"]
    file_names = {file.name for file in (context.folder / "grids" / "counts").iterdir()}
    assert len(file_names) == 3 and files.keys() < file_names
    for content in ("", "{", "[]", '{"mrr@1": 0.5}', '{"mrr@2": "high"}'):
        for file in files.values():
            file.write_text(content)
        assert sorted(row["mrr@2"] == "0.0" for row in search(context, 1, 1000)[1]) == [False, True], content


def test_undefined_metrics_are_the_lowest(context: StepContext) -> None:
    search(context, 1, 1000)
    for file in (context.folder / "grids" / "counts").iterdir():
        metrics = json.loads(file.read_text())
        file.write_text(json.dumps(metrics | {"mrr@2": None if metrics["mrr@2"] else 0.0}))
    best, rows, _ = search(context, 1, 1000)
    assert best.threshold == 1000 and [row["mrr@2"] for row in rows] == ["0.0", ""]


def validation_of(source: Artifact, **keys: Any) -> Any:
    return validation(source, EvaluationOptions(**keys))


def test_the_validation_part_is_split_by_the_same_rule(context: StepContext) -> None:
    source = context.workspace.find("sessions", "plays")
    task, settings = validation_of(source, split="last-item", at=(1, 2), draws=500, seed=3)
    assert (task.part, task.rule) == ("valid", "last-item of the training part")
    assert (settings.at, settings.draws, settings.seed) == ((1, 2), 0, 3)


def test_the_best_combination_is_trained(finished: Finished) -> None:
    _, context = finished
    lines = (context.folder / "grids" / "vectors.csv").read_text().splitlines()
    assert lines[0].startswith("window,min_count,hit_rate@5,")
    assert len(lines) == 5
    values = [float(dict(zip(lines[0].split(","), line.split(","), strict=True))["mrr@10"]) for line in lines[1:]]
    assert values == sorted(values, reverse=True)
    settings = context.workspace.find("model", "vectors").about["settings"]
    assert lines[1].startswith(f"{settings['window']},{settings['min_count']},")


def test_a_wider_grid_trains_the_new_combinations_only(open_experiment: Opened, finished: Finished) -> None:
    _, context = finished
    evaluated: list[Any] = []
    experiment, context = open_experiment(LIGHT.replace("window = [2, 5]", "window = [2, 5, 9]"))
    times_before = {f.name: f.stat().st_mtime_ns for f in (context.folder / "grids" / "vectors").iterdir()}
    run_experiment(
        experiment, context, report=lambda event, **values: evaluated.append(values) if event == "tried" else None
    )
    assert len(evaluated) == 6
    times_after = {f.name: f.stat().st_mtime_ns for f in (context.folder / "grids" / "vectors").iterdir()}
    assert len(times_after) == 6 and times_before.items() <= times_after.items()
