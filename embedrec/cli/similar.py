"""`embedrec similar`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from embedrec.cli.shared.artifacts import use_artifact
from embedrec.cli.shared.commands import IdCommand
from embedrec.cli.shared.options import emit, explained_record, note, note_artifact, use_threads
from embedrec.cli.shared.search_options import check_not_both, gpu_option, query_options, source_options
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.data.item_filter import ItemFilter
    from embedrec.index.search_settings import SearchSettings


@click.command(cls=IdCommand, short_help="Find the items nearest to an item.")
@gpu_option
@query_options(
    source_options, "Neighbours per item.", "Also print the smallest training sessions that contain both items."
)
def similar(
    items: tuple[str, ...],
    count: int | None,
    index: str | None,
    model: str | None,
    popularity: float | None,
    settings: SearchSettings,
    allowed: ItemFilter | None,
    why: bool,
    device: str,
    as_json: bool,
    threads: int,
    workspace: Workspace,
) -> None:
    """Find the items nearest to each ITEM: an id, an id without its URI prefix, or a name.

    Uses the latest index, or a newer cooccurrence model of the same data, which needs no index.

    \b
    embedrec similar spotify:artist:4gzpq5DPGxSnKTe4SA8HAU
    embedrec similar "The Beatles" Queen -n 5 --json
    embedrec similar "The Beatles" --model cooccurrence
    embedrec similar "The Beatles" --where 'year>=2000' --where genre=rock --exclude sold-out.txt

    Columns: item, rank, similar item, score, its name, and with --why the training sessions that contain both,
    smallest first, with the cosine between the pair and the session.
    """
    from embedrec.workflows.similar import find_item_source, item_sources, open_item_neighbours, similar_items

    check_not_both(model, index)
    source = find_item_source(workspace, model, index)
    use_artifact(workspace, source, item_sources(workspace) if model is None and index is None else ())
    opened = open_item_neighbours(source, settings, popularity=popularity, device=device, threads=threads)
    use_threads(threads)
    results = similar_items(workspace, opened, items, count, allowed, explain=why)
    for message in results.messages:
        note(message)
    if results.explained_by is not None:
        note_artifact(results.explained_by)
    emit((explained_record(neighbour, as_json) for neighbour in results.neighbours), as_json)
