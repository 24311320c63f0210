"""A grid of settings: every combination trained and judged on a validation part, each kept, the best one chosen."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from math import isnan
from pathlib import Path
from typing import Any

from embedrec.config import settings_of
from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.experiments import schema
from embedrec.experiments.step import StepContext, digest
from embedrec.models.base import Recipe
from embedrec.models.torch_recipe import in_steps
from embedrec.progress import Report
from embedrec.runtime.decoding import decoded_or_none
from embedrec.storage.artifacts import Artifact
from embedrec.storage.atomic import atomic_file
from embedrec.version import __version__
from embedrec.workflows.compare import flat, terms_of
from embedrec.workflows.contenders import trained_now
from embedrec.workflows.evaluate import EvaluationTask, ask, open_trial

AT = (1, 5, 10, 20)  # lengths of lists where none are named, as of the commands


def chosen(
    table: schema.Train,
    recipes: Sequence[Recipe],
    asked: schema.Ask,
    source: Artifact,
    where: StepContext,
    report: Report,
) -> Recipe:
    """The recipe that is best on a validation part cut from the training part; the first among equals.

    What each combination reached is kept in the study's folder, `grids/NAME/`, and found again there when the study is
    started again; all of them are in `grids/NAME.csv`, the best first.
    """
    folder = where.folder / "grids" / table.name
    fixed = {"version": __version__, "source": source.fingerprint, "ask": asdict(asked), "seed": table.seed}
    trial, terms = validation(source, asked)
    lines = []
    for number, recipe in enumerate(recipes, 1):
        said = {key: getattr(recipe, key) for key in table.grid}
        file = folder / f"{digest({**fixed, 'recipe': recipe.name, 'settings': settings_of(recipe)})[:32]}.json"
        figures = _kept(file, table.best)
        if figures is None:
            figures = _figures(recipe, trial, terms, table, where, report)
            with atomic_file(file, follow=False) as out:
                json.dump(figures, out)
        report("tried", number=number, of=len(recipes), **said, **{table.best: figures[table.best]})
        lines.append({**said, **figures})
    order = sorted(range(len(recipes)), key=lambda r: -_worth(lines[r][table.best]))
    _write(where.folder / "grids" / f"{table.name}.csv", [lines[r] for r in order])
    report("chosen", **{key: lines[order[0]][key] for key in table.grid})
    return recipes[order[0]]


def validation(source: Artifact, asked: schema.Ask) -> tuple[EvaluationTask, EvaluationSettings]:
    """Questions about a part of the training part, and how they are judged, without intervals."""
    trial = open_trial(
        source, split=asked.split, valid=True, protocol=asked.protocol, given=asked.given, seed=asked.seed
    )
    return trial, terms_of(trial, asked.at or AT, asked.ties, asked.seen, asked.unknown, 0, asked.seed)


def _figures(
    recipe: Recipe,
    trial: EvaluationTask,
    terms: EvaluationSettings,
    table: schema.Train,
    where: StepContext,
    report: Report,
) -> dict[str, Any]:
    contender = trained_now(
        recipe,
        trial,
        table.name,
        origin="",
        seed=table.seed,
        threads=where.threads,
        device=where.device if in_steps(recipe) else "cpu",
        report=report,
    )
    result = ask(trial, contender.model, terms, report=report)
    return {**flat(result), "train_seconds": round(contender.seconds or 0, 3)}


def _worth(value: float | None) -> float:
    return -float("inf") if value is None or isnan(value) else value


def _kept(file: Path, best: str | None) -> dict[str, Any] | None:
    """What a combination reached before; None where nothing is kept, or nothing that can be compared by `best`."""
    found = decoded_or_none(lambda: json.loads(file.read_bytes()))
    whole = isinstance(found, dict) and best in found and isinstance(found[best], int | float | None)
    return found if whole else None


def _write(path: Path, lines: list[dict[str, Any]]) -> None:
    with atomic_file(path) as out:
        table = csv.DictWriter(out, list(lines[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(lines)
