"""What the tables of a study name must be there: found out before anything is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_type_hints

from embedrec.errors import SettingsError, did_you_mean
from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.evaluation.neighbour_grid import check_neighbours
from embedrec.experiments import schema
from embedrec.experiments.evaluation_steps import Judge, Sweep
from embedrec.experiments.grid_search import AT
from embedrec.export.file_format import Layout
from embedrec.models import MODELS, recipe_class
from embedrec.models.base import Model, Recipe
from embedrec.models.neighbour_lists import ListsModel
from embedrec.models.session_knn.base import SessionKnn
from embedrec.models.vector_model import VectorModel
from embedrec.workflows.compare import check_metrics


def check_known(name: str, valid: Iterable[str], where: str) -> None:
    """Raises SettingsError for a name that a study does not make."""
    valid = list(valid)
    if name not in valid:
        hint = did_you_mean(name, valid) or f"; there are {', '.join(valid) or 'none'}"
        raise SettingsError(f"{where} names {name!r}, which this study does not make{hint}")


def check_shown(metrics: Iterable[str], asked: schema.Ask, where: str) -> None:
    """Raises SettingsError for a metric that is not measured where questions are asked so."""
    check_metrics(metrics, EvaluationSettings(asked.at or AT), labelled=asked.labels is not None, where=where)


def check_vectors(recipe: Recipe, model: str, where: str) -> None:
    """Raises SettingsError for a model whose items have no vectors."""
    if not issubclass(_made_by(recipe), VectorModel):
        raise SettingsError(f"{where} needs vectors, but model {model} ({recipe.name}) has none; name another model")


def check_exported(recipe: Recipe, model: str, layout: Layout, where: str) -> None:
    """Raises SettingsError for a model that does not have what is exported: vectors, or neighbours of items."""
    if not layout.holds_lists:
        check_vectors(recipe, model, where)
    elif not issubclass(_made_by(recipe), VectorModel | ListsModel):
        raise SettingsError(
            f"{where} holds neighbours, but model {model} ({recipe.name}) does not know which items are similar; "
            "train word2vec or cooccurrence, or name another model"
        )


def check_evaluation(table: schema.Evaluate, recipe: Recipe) -> None:
    """Raises SettingsError where a model cannot be judged so: by a grid without neighbours, or through an index of
    vectors that it does not have."""
    where = f"[[evaluate]] {table.name}"
    if not table.grid:
        if table.through is not None:
            check_vectors(recipe, table.model, f"through in {where}")
        return
    if table.protocol == "similar":
        raise SettingsError(f"{where}: a grid asks what comes next, not what is similar; choose another protocol")
    if not isinstance(recipe, SessionKnn):
        able = ", ".join(name for name in MODELS if issubclass(recipe_class(name), SessionKnn))
        raise SettingsError(
            f"{where}: a grid is of numbers of neighbours, but {table.model} has none; session kNN has: {able}"
        )
    check_neighbours(table.neighbours)


def _made_by(recipe: Recipe) -> type[Model]:
    """The class of the models that a recipe makes, which is what its `from_arrays` gives."""
    made: type[Model] = get_type_hints(recipe.from_arrays)["return"]
    return made


def check_table(table: schema.Table, judged: Mapping[str, Judge | Sweep], trained: Iterable[str]) -> None:
    """Raises SettingsError for a table whose evaluation, models or metrics there are not.

    judged   name of an evaluation, "" for the comparison → its step
    trained  the models of the study
    """
    where = f"table {table.title!r}"
    if table.of not in judged and not (table.rows and all(row.fact for row in table.rows)):
        what = f"no [[evaluate]] is called {table.of!r}" if table.of else "there is no [compare]"
        raise SettingsError(f"{where} needs figures, but {what}{did_you_mean(table.of, judged)}")
    step = judged.get(table.of)
    if isinstance(step, Judge) and not table.rows:
        raise SettingsError(f"{where} has no rows, and only that of a grid needs none; name the models it shows")
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
        if not isinstance(step, Judge):
            raise SettingsError(f"{where} shows a grid, whose rows are numbers of neighbours; leave its rows out")
        other = next((model for model in named if model not in step.models), None)
        if other is not None:
            raise SettingsError(
                f"{where} shows {other!r}, which is not judged there; judged are {', '.join(step.models)}"
            )
        check_shown(table.metrics if row.models else table.columns, step.asked, where)
