"""`embedrec compare`: several models on the same questions."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

import click

from embedrec.cli.common import emit, results
from embedrec.cli.figures import breakdown, flat, spent
from embedrec.cli.trials import judged, lengths_of, opened, terms_of, trial_options
from embedrec.workspace import Workspace


@click.command(short_help="Which model is best, and by how much?")
@click.argument("models", nargs=-1, required=True)
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="TOML with tables [train.MODEL], for any of them."
)
@click.option(
    "--metrics",
    metavar="METRIC,…",
    help="Columns [default: recall, mrr, ndcg and coverage at the last --at; with --labels, label_overlap@10].",
)
@click.option("--csv", "form", flag_value="csv", help="Comma-separated, with a header.")
@click.option("--markdown", "form", flag_value="markdown", help="A Markdown table.")
@trial_options
def compare(
    models: tuple[str, ...], metrics: str | None, form: str | None, at: str, as_json: bool, **options: Any
) -> None:
    """Judge MODELS (trained models, or recipes that are trained now) on the same questions, the best first.

    Columns `low` and `high` are the 95% interval of the first metric that has one (coverage, gini and others of all
    lists together have none); `behind` is how far a model is behind the best in it, paired by session, with its own
    interval: models whose interval holds 0 cannot be told apart.

    \b
    embedrec compare word2vec ar sr popular random
    embedrec compare word2vec ar --split last-item --at 10,20 --markdown
    """
    if len(set(models)) < len(models):
        raise click.UsageError("every model is compared once; leave out what stands twice")
    if form is not None and as_json:
        raise click.UsageError("--json, --csv and --markdown exclude each other; give one of them")
    _compare(models, lengths_of(at), metrics, form, as_json, **options)


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
    from embedrec.errors import SettingsError
    from embedrec.evaluate.differences import differences
    from embedrec.trial import about, check_names

    check_names(workspace, models)
    trial = opened(workspace, sessions, split, valid, protocol, given, seed)
    terms = terms_of(trial, at, ties, seen, unknown, draws, seed)
    own = {} if config is None else table(read_toml(config), "train")
    shown = _columns(metrics, at[-1], labelled=options["labels"] is not None)
    done = {}
    for name in models:
        one = config if name in own else None
        done[name] = judged(name, trial, terms, workspace=workspace, config=one, pairs=(), seed=seed, **options)
        there = done[name][1].metrics
        missing = [m for m in shown if m not in there]
        if missing:
            raise SettingsError(f"there is no metric {missing[0]!r}; there are {', '.join(there)}")
    values = next(iter(done.values()))[1].values
    lead = next((m for m in shown if m in values), None)
    by_rank = {name: result.metrics[lead or shown[0]] for name, (_, result) in done.items()}
    order = sorted(by_rank, key=lambda name: (isnan(by_rank[name]), -by_rank[name]))
    best = done[order[0]][1]
    rows = []
    for name in order:
        contender, result = done[name]
        row: dict[str, Any] = {"model": name}
        for metric in shown:
            row[metric] = result.metrics[metric]
            if metric == lead and terms.draws:
                row["low"], row["high"] = result.intervals[metric]
        if lead is not None:
            gap = next(d for d in differences(result, best) if d.metric == lead)
            row |= {"behind": 0 - gap.value, "behind_low": _negated(gap.high), "behind_high": _negated(gap.low)}
        whole = {**about(trial, terms), **spent(contender, result), **flat(result)} if as_json else {}
        seconds = {"train_seconds": contender.seconds, "seconds": result.seconds}
        row |= {**seconds, **whole}
        # JSON has no NaN
        rows.append({k: None if as_json and isinstance(v, float) and isnan(v) else v for k, v in row.items()})
    _show(rows, form, as_json)
    if by is not None:
        tables = ({"model": name, **line} for name in order for line in breakdown(by, done[name][1], trial.train))
        _show(list(tables), form, as_json)


def _columns(metrics: str | None, k: int, *, labelled: bool) -> list[str]:
    if metrics is not None:
        names = [m.strip() for m in metrics.split(",") if m.strip()]
        if not names:
            raise click.BadParameter(f"names of metrics, as in recall@20,mrr@20, but given was {metrics!r}")
        return names
    from embedrec.evaluate.similar import LABEL_OVERLAP

    return [f"{name}@{k}" for name in ("recall", "mrr", "ndcg", "coverage")] + [LABEL_OVERLAP] * labelled


def _negated(value: float | None) -> float | None:
    return None if value is None else 0 - value


def _show(rows: Sequence[Mapping[str, Any]], form: str | None, as_json: bool) -> None:
    if form is None:
        emit(rows, as_json)
        return
    with results():
        if form == "csv":
            writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        else:
            for line in _markdown(rows):
                click.echo(line)


def _markdown(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    names = list(rows[0])
    yield "| " + " | ".join(names) + " |"
    yield "|" + "|".join(" --- " if isinstance(rows[0][n], str) else " ---: " for n in names) + "|"
    for row in rows:
        cells = (f"{v:.4f}" if isinstance(v, float) else "" if v is None else str(v) for v in row.values())
        yield "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"
