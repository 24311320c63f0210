"""`embedrec build-index`."""

from __future__ import annotations

from typing import Any

import click

from embedrec.cli.common import (
    emit,
    json_option,
    note,
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
    metric: Any,
    nprobe: int | None,
    model: str | None,
    name: str | None,
    seed: int,
    threads: int,
    as_json: bool,
    workspace: Workspace,
) -> None:
    """Build a FAISS index of the latest model's items, and measure its recall.

    \b
    embedrec build-index --type ivf
    embedrec build-index --type flat --metric dot
    """
    from embedrec import steps
    from embedrec.cli.progress import Progress

    source = using(workspace.find("model", model))
    use_threads(threads)
    plain = "".join(c if c.isalnum() else "-" for c in kind.lower()).strip("-")
    folder = workspace.folder("index", name or f"{source.name}-{plain}")
    with Progress("build-index") as report:
        done = steps.index(source, folder, kind, nprobe=nprobe, metric=metric, seed=seed, report=report)
    note(f"wrote index {done.name} ({done.folder})")
    about = done.about
    emit([{"index": done.name, "spec": about["spec"], "items": about["items"], **about["facts"]}], as_json)
