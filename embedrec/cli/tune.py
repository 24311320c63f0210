"""`embedrec tune`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from embedrec.cli.shared.evaluation_options import evaluation_settings, list_lengths, open_task
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
    "way",
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
    way: Any,
    metric: str,
    prune: bool,
    name: str | None,
    anew: bool,
    sessions: str | None,
    split: str | None,
    protocol: str | None,
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
    from embedrec.config import parse_pairs, to_toml
    from embedrec.errors import SettingsError
    from embedrec.models import recipe_class
    from embedrec.models.torch_recipe import check_torch
    from embedrec.storage.artifacts import plain_name
    from embedrec.storage.atomic import atomic_file
    from embedrec.tune.journal import Journal
    from embedrec.tune.search import Search, check_optuna
    from embedrec.tune.search import tune as search_for
    from embedrec.tune.search_space import own_space, space_of
    from embedrec.workflows.train import recipe_of

    check_optuna()
    cls = recipe_class(model)
    fixed = recipe_of(cls, config, pairs)
    check_torch(fixed)
    set_ = parse_pairs(pairs)
    texts = parse_pairs(spaces) if spaces else {k: v for k, v in own_space(cls).items() if k not in set_}
    twice = next((key for key in texts if key in set_), None)
    if twice is not None:
        raise SettingsError(f"{twice!r} is in both --space and --set; leave out one of them")
    search = Search(fixed, space_of(cls, texts), metric, way, prune, seed)
    name = name or model
    if not plain_name(name):
        raise SettingsError(f"{name!r} cannot name a search; use letters, digits, '.', '_' and '-'")
    folder = workspace.inside(workspace.root / "tuning")
    use_threads(threads)
    task = open_task(workspace, sessions, split, True, protocol, given, seed)
    settings = evaluation_settings(task, list_lengths(at), "conservative", None, "miss", 0, seed)
    if anew:
        (folder / f"{name}.jsonl").unlink(missing_ok=True)
    journal = Journal.open(folder / f"{name}.jsonl", search.about(task, settings))
    if journal.trials:
        note(f"resumed: {len(journal.trials)} of {trials} trials were already done ({journal.path})")
    with Progress(f"tune {model}") as report:
        best_settings = search_for(
            search, task, settings, journal, trials, threads=threads, device=device, report=report
        )
    with atomic_file(folder / f"{name}.toml", follow=False) as out:
        best = journal.best
        out.write(f"# {metric} {0 if best is None else best.value:.4f} on the validation part, the best of ")
        out.write(f"{len(journal.trials)} trials: embedrec tune {model}\n\n{to_toml(best_settings, 'train', model)}")
    note(f"wrote {folder / f'{name}.toml'}; train with it: embedrec train {model} --config {folder / f'{name}.toml'}")
    order = sorted(journal.trials, key=lambda t: (t.value is None, -(t.value or 0), t.number))
    emit(
        ({"task": t.number + 1, "state": t.state, metric: t.value, "seconds": t.seconds, **t.set} for t in order),
        as_json,
    )
