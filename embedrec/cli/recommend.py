"""`embedrec recommend`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from embedrec.cli.shared.artifacts import took_all, unnamed
from embedrec.cli.shared.filter_options import allowed_options, tell
from embedrec.cli.shared.id_arguments import TakesIds
from embedrec.cli.shared.options import (
    emit,
    json_option,
    popularity_option,
    said,
    threads_option,
    use_threads,
    using,
    workspace_option,
)
from embedrec.cli.shared.search_options import check_not_both, search_options
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.data.item_filter import ItemFilter
    from embedrec.index.search_settings import SearchSettings

_SHOWN = 10  # default of -n


@click.command(cls=TakesIds, short_help="Recommend next items for a history.")
@click.argument("items", nargs=-1, required=True, metavar="ITEM...")
@click.option("-n", "count", type=click.IntRange(1), show_default="10, or all items if fewer", help="Number of items.")
@click.option("--model", metavar="NAME", help="Model to use [default: the latest].")
@click.option("--index", metavar="NAME", help="Index of a model's answers to search instead.")
@search_options("as the index was built")
@popularity_option
@allowed_options
@click.option("--seen", is_flag=True, help="Allow items of the history.")
@click.option(
    "--why", is_flag=True, help="Also print the nearest past sessions that contain the item; for session kNN."
)
@json_option
@threads_option
@workspace_option
def recommend(
    items: tuple[str, ...],
    count: int | None,
    model: str | None,
    index: str | None,
    settings: SearchSettings,
    popularity: float | None,
    allowed: ItemFilter,
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
    their similarity. Models that score only some items may print fewer than -n.
    """
    import numpy as np

    from embedrec.data.find_items import find_items
    from embedrec.data.sessions import Sessions
    from embedrec.models.filtered_recommend import recommended
    from embedrec.workflows.explain import reasons
    from embedrec.workflows.lineage import item_features, telling, trained_on
    from embedrec.workflows.recommend import open_answering

    check_not_both(model, index)
    use_threads(threads)
    opened = open_answering(workspace, model, index, settings, popularity=popularity)
    took_all(workspace, opened.used, unnamed(workspace, "model", model, index))
    source, asked = opened.source, opened.model
    vocab = asked.vocab
    features = item_features(workspace, lambda: source, vocab, allowed.attributes, opened.index)
    rows = find_items(vocab, items, telling(features, vocab))
    history = Sessions(np.array([0, len(rows)]), rows, vocab, np.array([0]))
    mask = allowed.among(vocab, features)
    tell(allowed, vocab, mask)
    found = recommended(asked, history, min(count or _SHOWN, len(vocab)), exclude_seen=not seen, allowed=mask)
    records: list[dict[str, Any]] = [
        {"rank": rank, "item": vocab.id(row), "score": round(float(score), 4), "name": vocab.name(row)}
        for rank, (row, score) in enumerate(zip(found.rows[0].tolist(), found.scores[0], strict=True), 1)
        if row >= 0
    ]
    if why:
        sessions = using(trained_on(workspace, source))
        causes = reasons(source, asked, Sessions.load(sessions), history, found.rows[0][: len(records)])
        for record, cause in zip(records, causes, strict=True):
            record["why"] = said(cause, as_json)
    emit(records, as_json)
