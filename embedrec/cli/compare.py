"""`embedrec compare`: several models on the same test cases."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from embedrec.cli.shared.evaluation_options import evaluation_options, open_task
from embedrec.cli.shared.options import emit, result_output, use_threads
from embedrec.cli.shared.terminal import write_result
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.workflows.evaluation_options import EvaluationOptions
    from embedrec.workflows.train import TrainingOptions


@click.command(short_help="Compare models on the same test cases.")
@click.argument("models", nargs=-1, required=True)
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="TOML with tables [train.MODEL].")
@click.option(
    "--metrics",
    metavar="METRIC,…",
    help="Columns [default: recall, mrr, ndcg and coverage at the largest --at; with --labels, label_overlap@10].",
)
@click.option("--csv", "form", flag_value="csv", help="Comma-separated, with a header.")
@click.option("--markdown", "form", flag_value="markdown", help="A Markdown table.")
@evaluation_options
def compare(
    models: tuple[str, ...],
    config: Path | None,
    metrics: str | None,
    form: str | None,
    sessions: str | None,
    evaluation: EvaluationOptions,
    training: TrainingOptions,
    by: str | None,
    as_json: bool,
    workspace: Workspace,
) -> None:
    """Evaluate MODELS (trained models, or recipes that are trained now) on the same test cases, best first.

    Columns `low` and `high` are the 95% confidence interval of the first metric that has one (coverage, gini and other
    metrics over all lists have none). `gap_to_best` is the difference to the best model in that metric, paired by
    session, with its own interval: a model whose interval contains 0 does not differ significantly from the best.

    \b
    embedrec compare word2vec ar sr popular random
    embedrec compare word2vec ar --split last-item --at 10,20 --markdown
    """
    duplicate = next((name for name in models if models.count(name) > 1), None)
    if duplicate is not None:
        raise click.UsageError(f"MODELS contains {duplicate!r} twice; name each model once")
    if form is not None and as_json:
        raise click.UsageError("--json, --csv and --markdown are mutually exclusive; give one of them")
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.config import read_toml, table
    from embedrec.workflows.compare import (
        breakdown,
        check_metrics,
        comparison_rows,
        counts_and_times,
        default_metrics,
        flat_metrics,
        nan_to_none,
    )
    from embedrec.workflows.evaluate import describe_task
    from embedrec.workflows.evaluated_models import check_model_names, parts_to_keep
    from embedrec.workflows.evaluation_options import evaluate_model

    check_model_names(workspace, models)
    use_threads(training.threads)
    task, settings = open_task(workspace, sessions, evaluation)
    configured = {} if config is None else table(read_toml(config), "train")
    labelled = evaluation.labels is not None
    shown = _named(metrics) or default_metrics(settings.at[-1], labelled=labelled)
    check_metrics(shown, settings, labelled=labelled)
    options = {name: replace(training, config=config) if name in configured else training for name in models}
    keep, done = parts_to_keep(workspace, options, task), {}
    for name in models:
        own = replace(options[name], keep=keep)
        done[name] = evaluate_model(workspace, name, task, settings, evaluation, own, stage=Progress)
    rows = comparison_rows(done, shown)
    if as_json:
        description = describe_task(task, settings)
        rows = [
            nan_to_none(row) | description | counts_and_times(*done[row["model"]]) | flat_metrics(done[row["model"]][1])
            for row in rows
        ]
    _show(rows, form, as_json)
    if by is not None:
        order = [row["model"] for row in rows]
        tables = ({"model": name, **line} for name in order for line in breakdown(by, done[name][1], task.train))
        _show(list(tables), form, as_json)


def _named(metrics: str | None) -> list[str] | None:
    if metrics is None:
        return None
    names = [m.strip() for m in metrics.split(",") if m.strip()]
    if not names:
        raise click.BadParameter(f"--metrics takes names of metrics, such as recall@20,mrr@20, but is {metrics!r}")
    return names


def _show(rows: Sequence[Mapping[str, Any]], form: str | None, as_json: bool) -> None:
    if form is None:
        emit(rows, as_json, header=True)
        return
    with result_output():
        if form == "csv":
            lines = StringIO()
            writer = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
            write_result(lines.getvalue(), newline=False)
        else:
            for line in _markdown(rows):
                write_result(line)


def _markdown(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    names = list(rows[0])
    yield "| " + " | ".join(names) + " |"
    yield "|" + "|".join(" --- " if isinstance(rows[0][n], str) else " ---: " for n in names) + "|"
    for row in rows:
        cells = (f"{v:.4f}" if isinstance(v, float) else "" if v is None else str(v) for v in row.values())
        yield "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"
