"""`embedrec compare`: several models on the same test cases."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import click

from embedrec.cli.shared.evaluation_options import (
    evaluate_model,
    evaluation_options,
    evaluation_settings,
    list_lengths,
    open_task,
)
from embedrec.cli.shared.options import emit, result_output
from embedrec.cli.shared.terminal import write_result
from embedrec.storage.workspace import Workspace


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
    models: tuple[str, ...], metrics: str | None, form: str | None, at: str, as_json: bool, **options: Any
) -> None:
    """Evaluate MODELS (trained models, or recipes that are trained now) on the same test cases, best first.

    Columns `low` and `high` are the 95% confidence interval of the first metric that has one (coverage, gini and other
    metrics over all lists have none). `behind` is the gap to the best model in that metric, paired by session, with
    its own interval: a model whose interval contains 0 does not differ significantly from the best.

    \b
    embedrec compare word2vec ar sr popular random
    embedrec compare word2vec ar --split last-item --at 10,20 --markdown
    """
    duplicate = next((name for name in models if models.count(name) > 1), None)
    if duplicate is not None:
        raise click.UsageError(f"MODELS contains {duplicate!r} twice; name each model once")
    if form is not None and as_json:
        raise click.UsageError("--json, --csv and --markdown are mutually exclusive; give one of them")
    _compare(models, list_lengths(at), metrics, form, as_json, **options)


def _compare(
    models: tuple[str, ...],
    at: tuple[int, ...],
    metrics: str | None,
    form: str | None,
    as_json: bool,
    *,
    workspace: Workspace,
    sessions: str | None,
    split: str | None,
    valid: bool,
    protocol: str | None,
    given: int | None,
    ties: str,
    seen: str | None,
    unknown: str,
    draws: int,
    by: str | None,
    seed: int,
    config: Path | None,
    **options: Any,
) -> None:
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
    from embedrec.workflows.evaluated_models import check_model_names

    check_model_names(workspace, models)
    task = open_task(workspace, sessions, split, valid, protocol, given, seed)
    settings = evaluation_settings(task, at, ties, seen, unknown, draws, seed)
    own = {} if config is None else table(read_toml(config), "train")
    shown = _named(metrics) or default_metrics(at[-1], labelled=options["labels"] is not None)
    check_metrics(shown, settings, labelled=options["labels"] is not None)
    done = {}
    for name in models:
        one = config if name in own else None
        done[name] = evaluate_model(
            name, task, settings, workspace=workspace, config=one, pairs=(), seed=seed, **options
        )
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
