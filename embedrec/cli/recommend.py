"""`embedrec recommend`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from embedrec.cli.shared.artifacts import unnamed, use_artifacts
from embedrec.cli.shared.commands import IdCommand
from embedrec.cli.shared.options import combine_options, emit, explained_record, note, note_artifact, use_threads
from embedrec.cli.shared.search_options import check_not_both, query_options
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.data.item_filter import ItemFilter
    from embedrec.index.search_settings import SearchSettings

_sources = combine_options(
    [
        click.option("--model", metavar="NAME", help="Model to use [default: the latest]."),
        click.option(
            "--index", metavar="NAME", help="Index of output vectors (build-index --of answers) to search instead."
        ),
    ]
)


@click.command(cls=IdCommand, short_help="Recommend next items for a history.")
@click.option("--seen", is_flag=True, help="Allow items of the history.")
@query_options(
    _sources,
    "Number of items.",
    "Also print why: past sessions that contain the item, for session kNN; the models that propose it and the features "
    "that move it, for fusion and ranker.",
)
def recommend(
    items: tuple[str, ...],
    count: int | None,
    model: str | None,
    index: str | None,
    settings: SearchSettings,
    popularity: float | None,
    allowed: ItemFilter | None,
    seen: bool,
    why: bool,
    as_json: bool,
    threads: int,
    workspace: Workspace,
) -> None:
    """Recommend next items for the history ITEM..., oldest first: ids, ids without their URI prefix, or names.

    \b
    embedrec recommend "Daft Punk" Justice "Röyksopp"
    embedrec recommend 21553 20071 8762 --model sr -n 20 --seen
    embedrec recommend "Daft Punk" Justice --index gru4rec-answers-ivf
    embedrec recommend "Daft Punk" Justice --where genre=electronic --exclude sold-out.txt

    Columns: rank, item, score, name, and with --why the past sessions that the item comes from, nearest first, with
    their similarity; for fusion and ranker before them the models that propose it, with its rank in their lists, and
    the features that move its score most. Models that score only some items may print fewer than -n.
    """
    from embedrec.workflows.recommend import open_recommender, recommend_items

    check_not_both(model, index)
    use_threads(threads)
    recommender = open_recommender(workspace, model, index, settings, popularity=popularity, threads=threads)
    use_artifacts(workspace, recommender.used, unnamed(workspace, "model", model, index))
    results = recommend_items(workspace, recommender, items, count, allowed, exclude_seen=not seen, explain=why)
    for message in results.messages:
        note(message)
    if results.explained_by is not None:
        note_artifact(results.explained_by)
    emit((explained_record(item, as_json) for item in results.items), as_json)
