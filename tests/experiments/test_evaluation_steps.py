"""The steps [compare] and [[evaluate]]."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import SettingsError
from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.experiments.evaluation_steps import (
    COMPARISON,
    Comparison,
    NeighbourGrid,
    base_of,
    evaluation_step,
    load_comparison,
)
from embedrec.experiments.schema import Compare, Evaluate
from embedrec.experiments.step import StepContext
from embedrec.models.baselines.popular import Popular
from embedrec.models.serialization import load_model
from embedrec.models.session_knn.variants import SKNN
from embedrec.progress import quiet
from embedrec.storage import artifacts
from embedrec.storage.workspace import Workspace
from embedrec.workflows.evaluate import evaluate_task, open_evaluation_task
from embedrec.workflows.evaluation_options import EvaluationOptions
from embedrec.workflows.train import train_model
from tests.conftest import LISTS, of_lists
from tests.experiments.conftest import Finished


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    """A workspace of sessions and of models that are trained on all of them."""
    workspace = Workspace(tmp_path)
    sessions = of_lists(LISTS).drop_unused_items()
    about = {"sessions": len(sessions), "items": len(sessions.vocab), "events": len(sessions.items)}
    sessions.save(workspace.folder("sessions", "plays"), about)
    for recipe in (Popular(), SKNN()):
        train_model(recipe, workspace.find("sessions", "plays"), workspace.folder("model", recipe.name))
    return StepContext(workspace, tmp_path / "studies" / "small")


def test_an_evaluation_has_an_id_and_dependencies() -> None:
    table = Evaluate(model="vectors", name="near", at=(5,), seed=3)
    step = evaluation_step(table, "plays", "train vectors")
    assert step == Comparison(
        "evaluate near", EvaluationOptions(at=(5,), seed=3), ("vectors",), (), "plays", ("train vectors",)
    )
    assert step.output == "evaluate-near" and step.files() == {}
    grid = evaluation_step(Evaluate(model="sknn", name="all", grid=True), "plays", "train sknn")
    assert isinstance(grid, NeighbourGrid)
    assert (grid.id, grid.output, grid.after) == ("evaluate all", "evaluate-all", ("train sknn",))


def test_an_evaluation_lists_its_keys() -> None:
    evaluation = base_of(Compare(models=("a",), metrics=("mrr@5",), split="tail", draws=9))
    assert type(evaluation) is EvaluationOptions and evaluation == EvaluationOptions(split="tail", draws=9)
    step = Comparison("compare", evaluation, ("a", "b"), ("mrr@5",), "plays", ())
    settings = step.settings()
    assert (settings["models"], settings["metrics"]) == (("a", "b"), ("mrr@5",))
    assert settings["ask"]["split"] == "tail" and settings["ask"]["draws"] == 9


def test_a_file_of_labels_is_an_input(tmp_path: Path) -> None:
    file = tmp_path / "genres.csv"
    step = Comparison("compare", EvaluationOptions(labels=str(file)), ("a",), (), "plays", ())
    assert step.files() == {}  # the name of a feature
    file.write_text("item,genres\n")
    assert list(step.files()) == [str(file)]


def test_a_comparison_writes_metrics_and_a_manifest(context: StepContext) -> None:
    """Metrics are reported and written: a record without seconds, and a manifest with them."""
    events: list[tuple[str, Any]] = []
    step = Comparison(
        "compare", EvaluationOptions(split="tail", at=(2,), draws=0), ("popular", "sknn"), (), "plays", ()
    )
    step.run(context, lambda event, **values: events.append((event, values)))
    artifact = artifacts.read(step.path(context), "comparison")
    record = artifact.json(COMPARISON)
    assert list(record) == ["rows", "metrics", "by_length", "by_popularity"]
    assert sorted(record["metrics"]) == ["popular", "sknn"]
    assert not [key for row in record["rows"] for key in row if "seconds" in key]
    assert artifact.about["split"] == "tail:share=0.1" and artifact.about["models"]["popular"]["seconds"] >= 0
    evaluated = [values for event, values in events if event == "judged"]
    assert [values["model"] for values in evaluated] == ["popular", "sknn"]
    assert evaluated[0]["recall@2"] == record["metrics"]["popular"]["recall@2"]
    first = (step.path(context) / COMPARISON).read_bytes()
    step.run(context, quiet)
    assert (step.path(context) / COMPARISON).read_bytes() == first


def test_chosen_metrics_are_the_columns(context: StepContext) -> None:
    evaluation = EvaluationOptions(split="tail", at=(1, 2), draws=0)
    step = Comparison("compare", evaluation, ("popular",), ("coverage@2", "mrr@1"), "plays", ())
    step.run(context, quiet)
    (row,) = artifacts.read(step.path(context), "comparison").json(COMPARISON)["rows"]
    assert list(row)[:3] == ["model", "coverage@2", "mrr@1"]


def test_old_names_of_columns_are_replaced(context: StepContext) -> None:
    """Comparisons of earlier versions call the gap "behind"."""
    step = Comparison("compare", EvaluationOptions(split="tail", at=(2,)), ("popular", "sknn"), (), "plays", ())
    step.run(context, quiet)
    artifact = artifacts.read(step.path(context), "comparison")
    record = load_comparison(artifact)
    text = artifact.path(COMPARISON).read_text().replace("gap_to_best", "behind")
    with artifacts.writing(context.folder / "old", "comparison", {}) as draft:
        draft.path(COMPARISON).write_text(text)
    assert '"behind_low"' in text
    assert load_comparison(artifacts.read(context.folder / "old", "comparison")) == record


def test_a_grid_of_neighbours_is_evaluated(context: StepContext) -> None:
    table = Evaluate(
        model="sknn", name="all", grid=True, neighbours=(3, 1), at=(1, 2), split="tail", sub_sessions=False
    )
    step = NeighbourGrid(table, "plays", ())
    step.run(context, quiet)
    artifact = artifacts.read(step.path(context), "grid")
    lines = (step.path(context) / "grid.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines] == [
        ["neighbours", "k"], ["1", "1"], ["1", "2"], ["3", "1"], ["3", "2"]
    ]  # fmt: skip
    assert (artifact.about["neighbours"], artifact.about["sub_sessions"]) == ([1, 3], False)
    assert step.settings()["neighbours"] == (3, 1)


def test_a_grid_needs_a_session_knn_model(context: StepContext) -> None:
    step = NeighbourGrid(Evaluate(model="popular", grid=True, split="tail"), "plays", ())
    with pytest.raises(SettingsError, match=r"popular .*session.kNN|session.kNN.*popular"):
        step.run(context, quiet)
    assert not step.path(context).exists()


def test_metrics_of_a_run_are_those_of_an_evaluation(finished: Finished) -> None:
    _, context = finished
    record = json.loads((context.folder / "compare" / "comparison.json").read_text())
    assert sorted(row["model"] for row in record["rows"]) == ["popular", "vectors"]
    task = open_evaluation_task(context.workspace.find("sessions", "mpd-random"))
    result = evaluate_task(
        task,
        load_model(context.workspace.find("model", "vectors")),
        EvaluationSettings((5, 10), not task.has_repeats(), draws=20),
    )
    assert record["metrics"]["vectors"]["mrr@10"] == result.metrics["mrr@10"]
    assert sum(line["questions"] for line in record["by_length"]["vectors"]) == len(result.test_cases)
