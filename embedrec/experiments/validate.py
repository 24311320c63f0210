"""Checks of an experiment's tables against each other, before any step runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_type_hints

from embedrec.errors import SettingsError, did_you_mean
from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.evaluation.neighbour_grid import check_neighbours
from embedrec.experiments.evaluation_steps import Comparison, NeighbourGrid
from embedrec.experiments.schema import Evaluate, Table
from embedrec.export.file_format import Layout
from embedrec.models.base import Model, Recipe
from embedrec.models.neighbour_lists import ListsModel
from embedrec.models.vector_model import VectorModel
from embedrec.workflows.compare import check_metrics
from embedrec.workflows.evaluated_models import check_session_knn
from embedrec.workflows.evaluation_options import EvaluationOptions


def check_known(name: str, valid: Iterable[str], where: str) -> None:
    """Raises SettingsError for the name of an artifact that the experiment does not write."""
    valid = list(valid)
    if name not in valid:
        hint = did_you_mean(name, valid) or f"; valid are {', '.join(valid) or 'none'}"
        raise SettingsError(f"{where} names {name!r}, which this experiment does not write{hint}")


def check_measured(metrics: Iterable[str], evaluation: EvaluationOptions, where: str) -> None:
    """Raises SettingsError for a metric that such an evaluation does not measure."""
    settings = EvaluationSettings(evaluation.list_lengths)
    check_metrics(metrics, settings, labelled=evaluation.labels is not None, where=where)


def check_vectors(recipe: Recipe, model: str, where: str) -> None:
    """Raises SettingsError for a model without item vectors."""
    if not issubclass(model_class(recipe), VectorModel):
        raise SettingsError(f"{where} needs vectors, but model {model} ({recipe.name}) has none; choose another model")


def check_exported(recipe: Recipe, model: str, layout: Layout, where: str) -> None:
    """Raises SettingsError for a model without the vectors, or the similar items, that an export needs."""
    if not layout.holds_lists:
        check_vectors(recipe, model, where)
    elif not issubclass(model_class(recipe), VectorModel | ListsModel):
        raise SettingsError(
            f"{where} needs similar items, but model {model} ({recipe.name}) has none; "
            "train word2vec or cooccurrence, or choose another model"
        )


def check_evaluation(table: Evaluate, recipe: Recipe) -> None:
    """Raises SettingsError for a model that cannot be evaluated so: a grid needs a session-kNN model, `through` needs
    vectors."""
    where = f"[[evaluate]] {table.name}"
    if not table.grid:
        if table.through is not None:
            check_vectors(recipe, table.model, f"through in {where}")
        return
    if table.protocol == "similar":
        raise SettingsError(f"{where}: a grid evaluates next items, not similar ones; choose another protocol")
    check_session_knn(table.model, type(recipe), f"{where}: ")
    check_neighbours(table.neighbours)


def model_class(recipe: Recipe) -> type[Model]:
    """The class of the models that a recipe trains: the return type of its `from_arrays`."""
    cls: type[Model] = get_type_hints(recipe.from_arrays)["return"]
    return cls


def check_table(table: Table, evaluations: Mapping[str, Comparison | NeighbourGrid], trained: Iterable[str]) -> None:
    """Raises SettingsError for a table of an unknown evaluation, model or metric.

    evaluations  name of an evaluation, "" for [compare] → its step
    trained      the models of the experiment
    """
    where = f"table {table.title!r}"
    if table.of not in evaluations and not (table.rows and all(row.fact for row in table.rows)):
        missing = f"no [[evaluate]] is called {table.of!r}" if table.of else "there is no [compare]"
        raise SettingsError(f"{where} needs metrics, but {missing}{did_you_mean(table.of, evaluations)}")
    step = evaluations.get(table.of)
    if isinstance(step, Comparison) and not table.rows:
        raise SettingsError(f"{where} has no rows, which only the table of a grid may omit; add rows with models")
    for row in table.rows:
        named = [*row.models, *([row.model] if row.model is not None else [])]
        for model in named:
            check_known(model, trained, where)
        if row.models and len(row.models) != len(table.columns):
            raise SettingsError(
                f"row {row.label!r} of {where} names {len(row.models)} models for {len(table.columns)} columns"
            )
        if not named:
            continue
        if not isinstance(step, Comparison):
            raise SettingsError(f"{where} shows a grid, whose rows are numbers of neighbours; remove its rows")
        other = next((model for model in named if model not in step.models), None)
        if other is not None:
            raise SettingsError(
                f"{where} shows {other!r}, which is not evaluated in it; choose from {', '.join(step.models)}"
            )
        check_measured(table.metrics if row.models else table.columns, step.evaluation, where)
