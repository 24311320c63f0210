"""`embedrec similar`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from embedrec.cli.shared.artifacts import taken
from embedrec.cli.shared.filter_options import allowed_options, tell
from embedrec.cli.shared.id_arguments import TakesIds
from embedrec.cli.shared.options import (
    emit,
    json_option,
    note,
    popularity_option,
    said,
    threads_option,
    use_threads,
    using,
    workspace_option,
)
from embedrec.cli.shared.search_options import check_not_both, gpu_option, nearest_options, search_options
from embedrec.index.search_settings import SearchSettings
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.data.item_filter import ItemFilter

_SHOWN = 10  # neighbours an item, unless -n says otherwise


@click.command(cls=TakesIds, short_help="The nearest items of an item.")
@click.argument("items", nargs=-1, required=True, metavar="ITEM...")
@click.option("-n", "count", type=click.IntRange(1), show_default="10, or all there are", help="Neighbours an item.")
@nearest_options
@popularity_option
@search_options("the index's")
@allowed_options
@click.option("--why", is_flag=True, help="Also the smallest past sessions that hold both items.")
@gpu_option
@json_option
@threads_option
@workspace_option
def similar(
    items: tuple[str, ...],
    count: int | None,
    index: str | None,
    model: str | None,
    popularity: float | None,
    settings: SearchSettings,
    allowed: ItemFilter,
    why: bool,
    device: str,
    as_json: bool,
    threads: int,
    workspace: Workspace,
) -> None:
    """The nearest items of each ITEM: an id, an id without its URI prefix, or a name.

    Takes the latest index, or a newer model of cooccurrence of the same data, which needs none.

    \b
    embedrec similar spotify:artist:4gzpq5DPGxSnKTe4SA8HAU
    embedrec similar "The Beatles" Queen -n 5 --json
    embedrec similar "The Beatles" --model cooccurrence
    embedrec similar "The Beatles" --where 'year>=2000' --where genre=rock --exclude sold-out.txt

    Columns: the item, rank, the similar item, score, its name, and with --why the training sessions that hold both, the
    smallest first, with the cosine between the pair and the session.
    """
    from embedrec.data.find_items import find_items
    from embedrec.data.sessions import Sessions
    from embedrec.workflows.explain import together
    from embedrec.workflows.lineage import item_features, telling, trained_on
    from embedrec.workflows.similar import item_sources, nearest_source, open_nearest

    check_not_both(model, index)
    source = nearest_source(workspace, model, index)
    taken(workspace, source, item_sources(workspace) if model is None and index is None else ())
    opened = open_nearest(source, settings, popularity=popularity, device=device)
    use_threads(threads)
    vocab = opened.vocab
    features = item_features(workspace, lambda: opened.model(workspace), vocab, allowed.attributes, opened.index)
    rows = find_items(vocab, items, telling(features, vocab))
    mask = allowed.among(vocab, features)
    tell(allowed, vocab, mask)
    others = len(vocab) - 1
    if count is not None and count > others > 0:
        note(f"an item has {others} others in a catalogue of {len(vocab)}, fewer than the {count} of -n")
        count = others
    found = opened.among(mask).neighbours(rows, count or max(1, min(_SHOWN, others)))
    past = None
    if why:
        past = Sessions.load(using(trained_on(workspace, opened.model(workspace))))
    records: list[dict[str, Any]] = []
    for q, row in enumerate(rows.tolist()):
        near = found.rows[q][found.rows[q] >= 0].tolist()
        shared = [None] * len(near) if past is None else together(past, vocab.id(row), [vocab.id(r) for r in near])
        for rank, (other, score, cause) in enumerate(zip(near, found.scores[q], shared, strict=False), 1):
            record = {
                "item": vocab.id(row),
                "rank": rank,
                "similar": vocab.id(other),
                "score": round(float(score), 4),
                "name": vocab.name(other),
            }
            records.append(record if cause is None else record | {"why": said(cause, as_json)})
    emit(records, as_json)
