"""`embedrec evaluate`: metrics of one model, of a grid, or of a saved run."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from embedrec.cli.evaluate_grid import GRID_ONLY, NOT_FOR_GRIDS, evaluate_grid, grid_options
from embedrec.cli.shared.engine_options import engine_options, spark_settings
from embedrec.cli.shared.evaluation_options import evaluation_options, open_task, positive_integers
from embedrec.cli.shared.metric_table import by_metric
from embedrec.cli.shared.options import config_option, emit, note, use_threads
from embedrec.cli.shared.settings_options import SettingsCommand
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.evaluation.case_blocks import Compute
    from embedrec.spark.session import SparkSettings
    from embedrec.workflows.evaluate import EvaluationTask
    from embedrec.workflows.evaluation_options import EvaluationOptions
    from embedrec.workflows.train import TrainingOptions

_FOR_RUNS = ("model", "run", "qrels", "at", "as_json", "workspace")  # the options that apply to a saved run


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
@engine_options
@evaluation_options
def evaluate(
    model: str | None,
    config: Path | None,
    pairs: tuple[str, ...],
    save_run: Path | None,
    run: Path | None,
    qrels: Path | None,
    grid: bool,
    neighbours: str,
    expanded: bool,
    out: Path | None,
    engine: str,
    master: str | None,
    spark_conf: tuple[str, ...],
    sessions: str | None,
    evaluation: EvaluationOptions,
    training: TrainingOptions,
    by: str | None,
    as_json: bool,
    workspace: Workspace,
) -> None:
    """Evaluate MODEL on held-out data: a trained model, or a recipe (word2vec, sr …) that is trained now.

    A model that was trained on more than the training part is retrained on that part with the same settings, always on
    this machine; --engine spark ranks the test cases in executors.

    \b
    embedrec evaluate word2vec
    embedrec evaluate sr --split time:days=7 --json
    embedrec evaluate popular --set days=14 --split warm-time:share=.2,min_rating=4
    embedrec evaluate word2vec --save-run run/; embedrec evaluate --run run/
    embedrec evaluate sscf --grid --split user-share
    embedrec evaluate cooccurrence --engine spark --master spark://host:7077
    """
    if (model is None) == (run is None):
        raise click.UsageError("give either MODEL or --run")
    if qrels is not None and run is None:
        raise click.UsageError("--qrels needs a TREC run file; name it with --run")
    spark = spark_settings(engine, master, spark_conf)
    if run is not None:
        parameters = click.get_current_context().command.params
        ignored = _given(*(str(p.name) for p in parameters if p.expose_value and p.name not in _FOR_RUNS))
        if ignored:
            raise click.UsageError(f"{ignored} has no effect on a saved run; leave it out")
        _evaluate_run(run, qrels, evaluation.list_lengths, as_json)
        return
    ignored = _given(*(NOT_FOR_GRIDS if grid else GRID_ONLY))
    if ignored:
        reason = "--grid measures hit rate and MRR of exact search only" if grid else f"{ignored} needs --grid"
        raise click.UsageError(f"{reason}; leave out {ignored}")
    from embedrec.workflows.neighbour_grid import GridSettings

    training = replace(training, config=config, pairs=pairs)
    if grid:
        options = evaluation if _given("at") else replace(evaluation, at=None)
        sizes = positive_integers(neighbours, "numbers of neighbours")
        evaluate_grid(workspace, str(model), sessions, options, training, GridSettings(sizes, expanded), out, as_json)
    else:
        _evaluate(workspace, str(model), sessions, evaluation, training, spark, save_run, by, as_json)


def _given(*keys: str) -> str | None:
    """The first of these options that was given on the command line, in the form that help shows."""
    context = click.get_current_context()
    given = [key for key in keys if context.get_parameter_source(key) is ParameterSource.COMMANDLINE]
    matches = (p for p in context.command.params if given and p.name == given[0])
    return next(("/".join([p.opts[0], *p.secondary_opts]) for p in matches), None)


def _evaluate(
    workspace: Workspace,
    name: str,
    sessions: str | None,
    options: EvaluationOptions,
    training: TrainingOptions,
    spark: SparkSettings | None,
    run: Path | None,
    by: str | None,
    as_json: bool,
) -> None:
    """Evaluate a model, save its lists as `run` unless that is None, and print the metrics."""
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.evaluation.trec_runs import save_run
    from embedrec.storage.artifacts import check_place
    from embedrec.workflows.compare import breakdown, counts_and_times, flat_metrics
    from embedrec.workflows.evaluate import describe_task, target_ids
    from embedrec.workflows.evaluated_models import check_model_names
    from embedrec.workflows.evaluation_options import evaluate_model

    check_model_names(workspace, [name])
    if run is not None:
        check_place(run)
    use_threads(training.threads)
    task, settings = open_task(workspace, sessions, options)
    with _computing(workspace, task, spark) as compute:
        evaluated, result = evaluate_model(
            workspace, name, task, settings, options, training, compute=compute, stage=Progress
        )
    record = {
        "model": name,
        "origin": evaluated.origin,
        **describe_task(task, settings),
        **counts_and_times(evaluated, result),
    }
    if run is not None:
        save_run(result, task.train.vocab, run, record, relevant=target_ids(task, settings))
        note(f"wrote run {run}")
    if as_json:
        emit([{**record, **flat_metrics(result)}], as_json=True)
    else:
        emit(by_metric(result.metrics, result.intervals, settings.at), as_json=False)
    if by is not None:
        emit(breakdown(by, result, task.train), as_json)


def _computing(
    workspace: Workspace, task: EvaluationTask, spark: SparkSettings | None
) -> AbstractContextManager[Compute]:
    """Where the test cases of a task are computed."""
    if spark is None:
        from embedrec.evaluation.case_blocks import compute_here

        return nullcontext(compute_here)
    from embedrec.workflows.spark_evaluate import computing_on_spark

    return computing_on_spark(workspace, task.protocol, spark)


def _evaluate_run(run: Path, qrels: Path | None, at: tuple[int, ...], as_json: bool) -> None:
    from embedrec.workflows.saved_runs import evaluate_run

    result = evaluate_run(run, qrels, at)
    note(f"run {run}: {result.test_cases:,} test cases, lists in the order of the run")
    if result.longest < at[-1]:
        note(f"the longest list has {result.longest} items; metrics at larger k are computed on the available items")
    if as_json:
        emit([{"run": str(run), "questions": result.test_cases, **result.metrics}], as_json=True)
    else:
        emit(by_metric(result.metrics, {}, at), as_json=False)
