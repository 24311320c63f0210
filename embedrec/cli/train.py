"""`embedrec train`."""

from __future__ import annotations

from pathlib import Path

import click

from embedrec.cli.common import emit, json_option, note, seed_option, threads_option, using, workspace_option
from embedrec.workspace import Workspace


@click.command(short_help="Train a model on sessions.")
@click.argument("model")
@click.option("--sessions", metavar="NAME", help="Sessions to train on [default: the latest].")
@click.option("--from", "start", metavar="NAME", help="Continue from this model and its settings; new items are added.")
@click.option("--name", metavar="NAME", help="Name of the trained model [default: the model's].")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="TOML with a table [train.MODEL].")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A setting; may be given several times.")
@click.option("--print-config", is_flag=True, help="Print the settings as TOML and stop.")
@seed_option
@threads_option
@json_option
@workspace_option
def train(
    model: str,
    sessions: str | None,
    start: str | None,
    name: str | None,
    config: Path | None,
    pairs: tuple[str, ...],
    print_config: bool,
    seed: int,
    threads: int,
    as_json: bool,
    workspace: Workspace,
) -> None:
    """Train MODEL on the latest sessions.

    \b
    word2vec  vectors of items that occur in the same sessions
    ar        association rules: items of the same sessions as the last one
    sr        sequential rules: items that soon came after the last one
    popular   the most mentioned items, over all time or of late
    random    random items

    \b
    embedrec train word2vec
    embedrec train word2vec --set dim=128 --set epochs=40
    embedrec train word2vec --set backend=gensim
    embedrec train popular --set days=14
    """
    from embedrec import steps
    from embedrec.cli.progress import Progress
    from embedrec.config import to_toml
    from embedrec.models import recipe_class

    before = None if start is None else using(workspace.find("model", start))
    recipe = steps.recipe_of(recipe_class(model), config, pairs, before)
    if print_config:
        click.echo(to_toml(recipe, "train", model), nl=False)
        return
    source = using(workspace.find("sessions", sessions))
    with Progress(f"train {model}") as report:
        done = steps.train(
            recipe,
            source,
            workspace.folder("model", name or model),
            start=before,
            seed=seed,
            threads=threads,
            report=report,
        )
    note(f"wrote model {done.name} ({done.folder})")
    emit([{"model": done.name, "items": done.about["items"], "seconds": done.about["seconds"]}], as_json)
