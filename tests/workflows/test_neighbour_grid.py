"""A grid of numbers of neighbours: its cells are evaluations, and its artifact describes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.errors import SettingsError
from embedrec.storage import artifacts
from embedrec.storage.workspace import Workspace
from embedrec.workflows.evaluate import evaluate_task
from embedrec.workflows.evaluated_models import model_to_evaluate
from embedrec.workflows.evaluation_options import EvaluationOptions
from embedrec.workflows.neighbour_grid import GridSettings, check_neighbour_grid, evaluate_neighbour_grid
from embedrec.workflows.train import TrainingOptions


def test_a_cell_is_an_evaluation(plays: Workspace, tmp_path: Path) -> None:
    options = EvaluationOptions(split="last-item", protocol="last", at=(1, 2), draws=0)
    task = options.open_task(plays.find("sessions"))
    settings = options.settings(task)
    folder = tmp_path / "grid"
    grid, about = evaluate_neighbour_grid(plays, "sknn", task, settings, GridSettings((1, 3), False), folder)
    rows = {(row["neighbours"], row["k"]): row["mrr"] for row in grid.rows()}
    for size in (1, 3):
        model = model_to_evaluate(plays, "sknn", task, TrainingOptions(pairs=[f"neighbours={size}"]))
        metrics = evaluate_task(task, model.model, settings).metrics
        assert [rows[size, k] for k in (1, 2)] == pytest.approx([metrics[f"mrr@{k}"] for k in (1, 2)])
    manifest = artifacts.read(folder, "grid").about
    assert (manifest["neighbours"], manifest["sub_sessions"], manifest["rows"]) == ([1, 3], False, len(task.train))
    assert about["questions"] == len(task.test_cases)


def test_models_and_protocols_without_a_grid(plays: Workspace) -> None:
    with pytest.raises(SettingsError, match="a grid evaluates next items, not similar ones"):
        check_neighbour_grid(plays, "sknn", "similar")
    with pytest.raises(SettingsError, match="a grid needs a session-kNN model; cooccurrence is not one"):
        check_neighbour_grid(plays, "cooccurrence", None)
