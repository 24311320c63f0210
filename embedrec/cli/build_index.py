"""`embedrec build-index`."""

from __future__ import annotations

from typing import Any

import click

from embedrec.cli.common import (
    emit,
    json_option,
    note,
    popularity_option,
    seed_option,
    threads_option,
    use_threads,
    using,
    workspace_option,
)
from embedrec.workspace import Workspace


@click.command("build-index", short_help="Build a FAISS index of a model, and measure it.")
@click.option(
    "--type",
    "kind",
    default="ivf",
    show_default=True,
    metavar="TYPE",
    help="flat, ivf, or a FAISS factory string.",
)
@click.option(
    "--of",
    "of",
    type=click.Choice(["items", "sessions"]),
    default="items",
    show_default=True,
    help="The model's items, or the sessions it was trained on.",
)
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="With --of sessions, what events count: decay=.8, idf=1, plays=each|once|log [default: as in queries].",
)
@popularity_option
@click.option("--metric", type=click.Choice(["cosine", "dot", "l2"]), help="Metric [default: the model's].")
@click.option(
    "--nprobe",
    type=click.IntRange(1),
    help="IVF cells a search visits [default: as many as recall .99 takes].",
)
@click.option("--model", metavar="NAME", help="Model whose items are indexed [default: the latest].")
@click.option("--name", metavar="NAME", help="Name of the index [default: MODEL-TYPE].")
@seed_option
@threads_option
@json_option
@workspace_option
def build_index(
    kind: str,
    of: str,
    pairs: tuple[str, ...],
    popularity: float | None,
    metric: Any,
    nprobe: int | None,
    model: str | None,
    name: str | None,
    seed: int,
    threads: int,
    as_json: bool,
    workspace: Workspace,
) -> None:
    """Build a FAISS index of the latest model's items, or of its sessions for `neighbours`, and measure its recall.

    \b
    embedrec build-index --type ivf
    embedrec build-index --type flat --popularity .5
    embedrec build-index --of sessions --model projection
    embedrec build-index --of sessions --model word2vec --set idf=1 --set plays=once
    """
    from embedrec import steps
    from embedrec.cli.progress import Progress
    from embedrec.config import build, parse_pairs
    from embedrec.models.encoders import Weights
    from embedrec.past import trained_on

    source = using(workspace.find("model", model))
    use_threads(threads)
    plain = "".join(c if c.isalnum() else "-" for c in kind.lower()).strip("-")
    part = "-sessions" if of == "sessions" else ""
    folder = workspace.folder("index", name or f"{source.name}{part}-{plain}")
    sessions = using(trained_on(workspace, source)) if of == "sessions" else None
    weights = build(Weights, parse_pairs(pairs), given="--set") if pairs else None
    with Progress("build-index") as report:
        done = steps.index(
            source,
            folder,
            kind,
            sessions=sessions,
            weights=weights,
            popularity=popularity,
            nprobe=nprobe,
            metric=metric,
            seed=seed,
            report=report,
        )
    note(f"wrote index {done.name} ({done.folder})")
    about = done.about
    emit([{"index": done.name, "spec": about["spec"], "items": about["items"], **about["facts"]}], as_json)
