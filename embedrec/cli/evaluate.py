"""`embedrec evaluate`: metrics of one model, of a grid, or of a saved run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from embedrec.cli.evaluate_grid import GRID_ONLY, NOT_FOR_GRIDS, evaluate_grid, grid_options
from embedrec.cli.shared.evaluation_options import (
    evaluate_model,
    evaluation_options,
    evaluation_settings,
    list_lengths,
    open_task,
)
from embedrec.cli.shared.metric_table import by_metric
from embedrec.cli.shared.options import config_option, emit, note
from embedrec.cli.shared.settings_options import SettingsCommand
from embedrec.storage.workspace import Workspace


@click.command(cls=SettingsCommand, short_help="Evaluate a model.")
@click.argument("model", required=False)
@config_option
@click.option(
    "--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A setting of a model that is trained now; repeatable."
)
@click.option(
    "--save-run",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write ranked lists and targets to this folder.",
)
@click.option(
    "--run", type=click.Path(path_type=Path), metavar="PATH", help="Evaluate a saved run, or a TREC run file."
)
@click.option("--qrels", type=click.Path(path_type=Path), metavar="FILE", help="TREC qrels of the TREC run file.")
@grid_options
@evaluation_options
def evaluate(
    model: str | None, run: Path | None, qrels: Path | None, grid: bool, at: str, as_json: bool, **options: Any
) -> None:
    """Evaluate MODEL on held-out data: a trained model, or a recipe (word2vec, sr …) that is trained now.

    A model that was trained on more than the training part is retrained on that part with the same settings.

    \b
    embedrec evaluate word2vec
    embedrec evaluate sr --split time:days=7 --json
    embedrec evaluate popular --set days=14 --split warm-time:share=.2,min_rating=4
    embedrec evaluate word2vec --save-run run/; embedrec evaluate --run run/
    embedrec evaluate sscf --grid --split user-share
    """
    if (model is None) == (run is None):
        raise click.UsageError("give either MODEL or --run")
    if qrels is not None and run is None:
        raise click.UsageError("--qrels needs a TREC run file; name it with --run")
    if run is not None:
        ignored = _given("grid", *(key for key in options if key != "workspace"))
        if ignored:
            raise click.UsageError(f"{ignored} has no effect on a saved run; leave it out")
        _evaluate_run(run, qrels, at, as_json)
        return
    ignored = _given(*(NOT_FOR_GRIDS if grid else GRID_ONLY))
    if ignored:
        reason = "--grid measures hit rate and MRR of exact search only" if grid else f"{ignored} needs --grid"
        raise click.UsageError(f"{reason}; leave out {ignored}")
    options = {key: value for key, value in options.items() if key not in (NOT_FOR_GRIDS if grid else GRID_ONLY)}
    if grid:
        evaluate_grid(str(model), at=list_lengths(at) if _given("at") else None, as_json=as_json, **options)
    else:
        _evaluate(str(model), at=list_lengths(at), as_json=as_json, **options)


def _given(*keys: str) -> str | None:
    """The first of these options that was given on the command line, in the form that help shows."""
    context = click.get_current_context()
    given = [key for key in keys if context.get_parameter_source(key) is ParameterSource.COMMANDLINE]
    matches = (p for p in context.command.params if given and p.name == given[0])
    return next(("/".join([p.opts[0], *p.secondary_opts]) for p in matches), None)


def _evaluate(
    name: str,
    *,
    at: tuple[int, ...],
    as_json: bool,
    workspace: Workspace,
    save_run: Path | None,
    by: str | None,
    sessions: str | None,
    split: str | None,
    valid: bool,
    protocol: str | None,
    given: int | None,
    ties: str,
    seen: str | None,
    unknown: str,
    draws: int,
    seed: int,
    **options: Any,
) -> None:
    from embedrec.evaluation.trec_runs import save_run as save
    from embedrec.storage.artifacts import check_place
    from embedrec.workflows.compare import breakdown, counts_and_times, flat_metrics
    from embedrec.workflows.evaluate import describe_task, target_ids
    from embedrec.workflows.evaluated_models import check_model_names

    check_model_names(workspace, [name])
    if save_run is not None:
        check_place(save_run)
    task = open_task(workspace, sessions, split, valid, protocol, given, seed)
    settings = evaluation_settings(task, at, ties, seen, unknown, draws, seed)
    evaluated, result = evaluate_model(name, task, settings, workspace=workspace, seed=seed, **options)
    facts = {
        "model": name,
        "origin": evaluated.origin,
        **describe_task(task, settings),
        **counts_and_times(evaluated, result),
    }
    if save_run is not None:
        save(result, task.train.vocab, save_run, facts, relevant=target_ids(task, settings))
        note(f"wrote run {save_run}")
    if as_json:
        emit([{**facts, **flat_metrics(result)}], as_json=True)
    else:
        emit(by_metric(result.metrics, result.intervals, settings.at), as_json=False)
    if by is not None:
        emit(breakdown(by, result, task.train), as_json)


def _evaluate_run(run: Path, qrels: Path | None, at: str, as_json: bool) -> None:
    from embedrec.evaluation.trec_runs import load_run

    ks = list_lengths(at)
    loaded = load_run(run, qrels)
    values = loaded.metrics(ks)
    metrics = {key: float(column.mean()) for key, column in values.items()}
    count = len(values["r_precision"])
    note(f"run {run}: {count:,} test cases, lists in the order of the run")
    longest = int(loaded.place.max(initial=0))
    if longest < ks[-1]:
        note(f"the longest list has {longest} items; metrics at larger k are computed on the available items")
    if as_json:
        emit([{"run": str(run), "questions": count, **metrics}], as_json=True)
    else:
        emit(by_metric(metrics, {}, ks), as_json=False)
