"""`embedrec tune`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from embedrec.cli.shared.evaluation_options import list_lengths, open_task
from embedrec.cli.shared.options import (
    config_option,
    device_option,
    emit,
    json_option,
    log_option,
    note,
    seed_option,
    threads_option,
    use_threads,
    workspace_option,
)
from embedrec.cli.shared.settings_options import SettingsCommand
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.tune.search import Method
    from embedrec.workflows.evaluate import Protocol


@click.command(cls=SettingsCommand, short_help="Search for the best settings of a model.")
@click.argument("model")
@click.option(
    "--space",
    "spaces",
    multiple=True,
    metavar="KEY=RANGE",
    help="Search range of a setting: 16..256, '1e-4..0.1 log', or a,b,c [default: the ranges of the model].",
)
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A fixed setting.")
@config_option
@click.option("--trials", type=click.IntRange(1), default=30, show_default=True, help="Total number of trials.")
@click.option(
    "--search",
    "method",
    type=click.Choice(["tpe", "random"]),
    default="tpe",
    show_default=True,
    help="Sampler: tree-structured Parzen estimator, or random search.",
)
@click.option("--metric", default="recall@20", show_default=True, help="Metric to maximise.")
@click.option(
    "--prune/--no-prune",
    default=True,
    show_default=True,
    help="Stop trials that are below the median of earlier trials after an epoch, for models that train with torch.",
)
@click.option("--name", metavar="NAME", help="Name of the search and of its result [default: MODEL].")
@click.option("--anew", is_flag=True, help="Discard earlier trials of this name.")
@click.option("--sessions", metavar="NAME", help="Sessions to tune on [default: the latest].")
@click.option(
    "--split", metavar="RULE", help="Rule that holds out the validation part [default: that of the test part]."
)
@click.option(
    "--protocol",
    type=click.Choice(["next", "last", "rest", "users", "similar"]),
    help="Evaluation protocol, see `embedrec evaluate --help` [default: by split].",
)
@click.option(
    "--given", type=click.IntRange(1), metavar="N", help="Number of first items given, for rest [default: 1]."
)
@click.option("--at", default="20", show_default=True, metavar="K,…", help="List lengths to evaluate.")
@seed_option
@log_option
@threads_option
@device_option
@json_option
@workspace_option
def tune(
    model: str,
    spaces: tuple[str, ...],
    pairs: tuple[str, ...],
    config: Path | None,
    trials: int,
    method: Method,
    metric: str,
    prune: bool,
    name: str | None,
    anew: bool,
    sessions: str | None,
    split: str | None,
    protocol: Protocol | None,
    given: int | None,
    at: str,
    seed: int,
    threads: int,
    device: str,
    as_json: bool,
    workspace: Workspace,
) -> None:
    """Search for the settings of MODEL that are best on a validation part of the training part; the test part is not
    used. The best settings are written to tuning/NAME.toml in the workspace, for `train --config`.

    An interrupted search resumes with the same outcome; a larger --trials continues a finished one. Prints the trials,
    best first. Needs the extra `tune`.

    \b
    embedrec tune word2vec
    embedrec tune vsknn --trials 60 --metric mrr@20
    embedrec tune two-tower --space "learning_rate=0.01..0.3 log" --space dim=32,64,128 --set epochs=10
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.config import parse_pairs
    from embedrec.models import recipe_class
    from embedrec.tune import search
    from embedrec.tune.journal import Journal
    from embedrec.tune.result import SearchFiles, write_best
    from embedrec.tune.search_space import space_beside
    from embedrec.workflows.composite_parts import check_packages
    from embedrec.workflows.evaluation_options import EvaluationOptions
    from embedrec.workflows.train import recipe_of

    search.check_optuna()
    cls = recipe_class(model)
    recipe = recipe_of(cls, config, pairs)
    check_packages(recipe)
    space = space_beside(cls, parse_pairs(spaces), fixed=parse_pairs(pairs))
    settings_search = search.Search(recipe, space, metric, method, prune, seed)
    files = SearchFiles.of(workspace, name or model)
    use_threads(threads)
    evaluation = EvaluationOptions(
        split=split, valid=True, protocol=protocol, given=given, at=list_lengths(at), draws=0, seed=seed
    )
    task, settings = open_task(workspace, sessions, evaluation)
    if anew:
        files.journal.unlink(missing_ok=True)
    journal = Journal.open(files.journal, settings_search.about(task, settings))
    if journal.trials:
        note(f"resumed: {len(journal.trials)} of {trials} trials were already done ({journal.path})")
    with Progress(f"tune {model}") as report:
        best = search.tune(
            settings_search, task, settings, journal, trials, threads=threads, device=device, report=report
        )
    write_best(files.settings, journal, best, metric)
    note(f"wrote {files.settings}; train with it: embedrec train {model} --config {files.settings}")
    order = sorted(journal.trials, key=lambda t: (t.value is None, -(t.value or 0), t.number))
    emit(
        ({"task": t.number + 1, "state": t.state, metric: t.value, "seconds": t.seconds, **t.set} for t in order),
        as_json,
    )
