"""`embedrec evaluate`: one model judged, or a saved run judged again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from embedrec.cli.common import emit, note
from embedrec.cli.figures import breakdown, by_metric, flat, spent
from embedrec.cli.trials import judged, lengths_of, opened, terms_of, trial_options
from embedrec.workspace import Workspace


@click.command(short_help="How good is a model?")
@click.argument("model", required=False)
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="TOML with a table [train.MODEL].")
@click.option(
    "--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A setting of the model, when it is trained now."
)
@click.option(
    "--save-run", type=click.Path(path_type=Path), metavar="FOLDER", help="Write ranked lists and targets here."
)
@click.option("--run", type=click.Path(path_type=Path), metavar="PATH", help="Judge a saved run, or a TREC run file.")
@click.option("--qrels", type=click.Path(path_type=Path), metavar="FILE", help="The TREC qrels of a TREC run file.")
@trial_options
def evaluate(model: str | None, run: Path | None, qrels: Path | None, at: str, as_json: bool, **options: Any) -> None:
    """Judge MODEL on what it was not trained on: a trained model, or a recipe (word2vec, sr …) that is trained now.

    A model that was trained on more than the training part is trained again on that part, with its settings.

    \b
    embedrec evaluate word2vec
    embedrec evaluate sr --split time:days=7 --json
    embedrec evaluate popular --set days=14 --split warm-time:share=.2,min_rating=4
    embedrec evaluate word2vec --save-run run/; embedrec evaluate --run run/
    """
    if (model is None) == (run is None):
        raise click.UsageError("name a model, or a run with --run; not both")
    if qrels is not None and run is None:
        raise click.UsageError("--qrels belongs to a TREC run file; name it with --run")
    if run is not None:
        given = click.get_current_context().get_parameter_source
        idle = [key for key in options if key != "workspace" and given(key) is ParameterSource.COMMANDLINE]
        if idle:
            raise click.UsageError(f"a saved run is judged as it stands; leave out --{idle[0].replace('_', '-')}")
        _again(run, qrels, at, as_json)
    else:
        _now(str(model), at=lengths_of(at), as_json=as_json, **options)


def _now(
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
    from embedrec.artifacts import check_place
    from embedrec.evaluate.runs import save_run as save
    from embedrec.trial import about, check_names, relevant_ids

    check_names(workspace, [name])
    if save_run is not None:
        check_place(save_run)
    trial = opened(workspace, sessions, split, valid, protocol, given, seed)
    terms = terms_of(trial, at, ties, seen, unknown, draws, seed)
    contender, result = judged(name, trial, terms, workspace=workspace, seed=seed, **options)
    facts = {"model": name, "origin": contender.origin, **about(trial, terms), **spent(contender, result)}
    if save_run is not None:
        save(result, trial.train.vocab, save_run, facts, relevant=relevant_ids(trial, terms))
        note(f"wrote run {save_run}")
    if as_json:
        emit([{**facts, **flat(result)}], as_json=True)
    else:
        emit(by_metric(result.metrics, result.intervals, terms.at), as_json=False)
    if by is not None:
        emit(breakdown(by, result, trial.train), as_json)


def _again(run: Path, qrels: Path | None, at: str, as_json: bool) -> None:
    from embedrec.evaluate.runs import load_run

    ks = lengths_of(at)
    loaded = load_run(run, qrels)
    values = loaded.metrics(ks)
    metrics = {key: float(column.mean()) for key, column in values.items()}
    questions = len(values["r_precision"])
    note(f"run {run}: {questions:,} questions, lists ranked as they stand there")
    longest = int(loaded.place.max(initial=0))
    if longest < ks[-1]:
        note(f"no list holds more than {longest} items; figures at larger lengths count what is there")
    if as_json:
        emit([{"run": str(run), "questions": questions, **metrics}], as_json=True)
    else:
        emit(by_metric(metrics, {}, ks), as_json=False)
