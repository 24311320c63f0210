"""`embedrec export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from embedrec.cli.common import (
    note,
    popularity_option,
    results,
    threads_option,
    use_threads,
    using,
    whitespace_option,
    workspace_option,
)
from embedrec.workspace import Workspace


@click.command(short_help="Write every item's neighbours to a file.")
@click.argument("file", metavar="FILE")
@click.option("-n", "count", type=click.IntRange(1), default=20, show_default=True, help="Neighbours an item.")
@click.option("--index", metavar="NAME", help="Index to search.")
@click.option("--model", metavar="NAME", help="Model to ask, exactly: one with vectors, cooccurrence, ar or sr.")
@popularity_option
@whitespace_option
@threads_option
@workspace_option
def export(
    file: str,
    count: int,
    index: str | None,
    model: str | None,
    popularity: float | None,
    whitespace: Any,
    threads: int,
    workspace: Workspace,
) -> None:
    """Write every item's neighbours to FILE, one line an item; '-' is stdout.

    Takes the latest index, or the latest model of cooccurrence, which needs none, whichever is newer.

    \b
    embedrec export similar.txt -n 20

    A line is `seed_item similar_1 similar_2 ...`, separated by spaces, best first, the item itself left out.
    """
    from embedrec.atomic import atomic_file
    from embedrec.cli.progress import Progress
    from embedrec.export.similarity import write_similarity
    from embedrec.nearest import nearest_source, open_nearest

    if model is not None and index is not None:
        raise click.UsageError("an index knows its model; leave out --model or --index")
    opened = open_nearest(using(nearest_source(workspace, model, index)), popularity=popularity)
    use_threads(threads)
    with Progress("export") as report:
        if file == "-":
            with results():
                write_similarity(opened, sys.stdout, count, whitespace=whitespace, report=report)
            return
        with atomic_file(Path(file)) as out:
            lines = write_similarity(opened, out, count, whitespace=whitespace, report=report)
    note(f"wrote {lines} lines to {file}")
