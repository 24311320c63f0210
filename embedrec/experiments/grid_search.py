"""A grid of settings: train and evaluate every combination on a validation part, and choose the best."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass, replace
from math import isnan
from pathlib import Path
from typing import Any

from embedrec.config import settings_of
from embedrec.errors import decoded_or_none
from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.experiments.step import StepContext, digest
from embedrec.models.base import Recipe
from embedrec.progress import Report
from embedrec.storage.artifacts import Artifact
from embedrec.storage.atomic import atomic_file
from embedrec.version import __version__
from embedrec.workflows.compare import flat_metrics
from embedrec.workflows.composite_parts import device_for
from embedrec.workflows.evaluate import EvaluationTask, evaluate_task
from embedrec.workflows.evaluated_models import train_for_evaluation
from embedrec.workflows.evaluation_options import EvaluationOptions
from embedrec.workflows.train import TrainingOptions


@dataclass(frozen=True)
class SettingsGrid:
    """Combinations of settings of one recipe.

    name  of the trained model
    keys  the settings that vary
    best  the metric that chooses
    seed  of training
    """

    name: str
    keys: tuple[str, ...]
    recipes: tuple[Recipe, ...]
    best: str
    seed: int


def best_recipe(
    grid: SettingsGrid, evaluation: EvaluationOptions, source: Artifact, context: StepContext, report: Report
) -> Recipe:
    """The best recipe on a validation part cut from the training part; the first among equals.

    The metrics of each combination are stored in the experiment's folder, `grids/NAME/`, where a later run reuses
    them. `grids/NAME.csv` lists all of them, the best first.
    """
    folder = context.folder / "grids" / grid.name
    fixed = {"version": __version__, "source": source.fingerprint, "ask": asdict(evaluation), "seed": grid.seed}
    task, settings = validation(source, evaluation)
    lines = []
    for number, recipe in enumerate(grid.recipes, 1):
        values = {key: getattr(recipe, key) for key in grid.keys}
        file = folder / f"{digest({**fixed, 'recipe': recipe.name, 'settings': settings_of(recipe)})[:32]}.json"
        metrics = _stored(file, grid.best)
        if metrics is None:
            metrics = _evaluate(recipe, task, settings, grid, context, report)
            with atomic_file(file, follow=False) as out:
                json.dump(metrics, out)
        report("tried", number=number, of=len(grid.recipes), **values, **{grid.best: metrics[grid.best]})
        lines.append({**values, **metrics})
    order = sorted(range(len(lines)), key=lambda r: -_rank_value(lines[r][grid.best]))
    _write(context.folder / "grids" / f"{grid.name}.csv", [lines[r] for r in order])
    report("chosen", **{key: lines[order[0]][key] for key in grid.keys})
    return grid.recipes[order[0]]


def validation(source: Artifact, evaluation: EvaluationOptions) -> tuple[EvaluationTask, EvaluationSettings]:
    """An evaluation task on a part of the training part, and its settings, without confidence intervals."""
    options = replace(evaluation, valid=True, draws=0)
    task = options.open_task(source)
    return task, options.settings(task)


def _evaluate(
    recipe: Recipe,
    task: EvaluationTask,
    settings: EvaluationSettings,
    grid: SettingsGrid,
    context: StepContext,
    report: Report,
) -> dict[str, Any]:
    trained = train_for_evaluation(
        recipe,
        task,
        grid.name,
        TrainingOptions(seed=grid.seed, threads=context.threads, device=device_for(recipe, context.device)),
        origin="",
        report=report,
    )
    result = evaluate_task(task, trained.model, settings, report=report)
    return {**flat_metrics(result), "train_seconds": round(trained.seconds or 0, 3)}


def _rank_value(value: float | None) -> float:
    return -float("inf") if value is None or isnan(value) else value


def _stored(file: Path, best: str | None) -> dict[str, Any] | None:
    """The stored metrics of a combination; None if there are none, or none that `best` can compare."""
    metrics = decoded_or_none(lambda: json.loads(file.read_bytes()))
    valid = isinstance(metrics, dict) and best in metrics and isinstance(metrics[best], int | float | None)
    return metrics if valid else None


def _write(path: Path, lines: list[dict[str, Any]]) -> None:
    with atomic_file(path) as out:
        table = csv.DictWriter(out, list(lines[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(lines)
