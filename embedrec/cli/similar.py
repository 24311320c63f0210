"""`embedrec similar`."""

from __future__ import annotations

import click

from embedrec.cli.common import emit, json_option, threads_option, use_threads, using, workspace_option
from embedrec.workspace import Workspace

_SHOWN = 10  # neighbours an item, unless -n says otherwise


@click.command(short_help="The nearest items of an item.")
@click.argument("items", nargs=-1, required=True, metavar="ITEM...")
@click.option("-n", "count", type=click.IntRange(1), show_default="10, or all there are", help="Neighbours an item.")
@click.option("--index", metavar="NAME", help="Index to search [default: the latest].")
@click.option("--nprobe", type=click.IntRange(1), help="IVF cells to visit [default: the index's].")
@json_option
@threads_option
@workspace_option
def similar(
    items: tuple[str, ...],
    count: int | None,
    index: str | None,
    nprobe: int | None,
    as_json: bool,
    threads: int,
    workspace: Workspace,
) -> None:
    """The nearest items of each ITEM: an id, an id without its URI prefix, or a name.

    \b
    embedrec similar spotify:artist:4gzpq5DPGxSnKTe4SA8HAU
    embedrec similar "The Beatles" Queen -n 5 --json

    Columns: the item, rank, the similar item, score, its name.
    """
    from embedrec.data.lookup import find_items
    from embedrec.index.files import load_index

    opened = load_index(using(workspace.find("index", index, of="items")))
    use_threads(threads)
    vocab = opened.vocab
    rows = find_items(vocab, items)
    found = opened.neighbours(rows, count or max(1, min(_SHOWN, len(vocab) - 1)), nprobe=nprobe)
    emit(
        (
            {
                "item": vocab.id(int(rows[q])),
                "rank": rank + 1,
                "similar": vocab.id(row),
                "score": round(float(score), 4),
                "name": vocab.name(row),
            }
            for q in range(len(rows))
            for rank, (row, score) in enumerate(zip(found.rows[q].tolist(), found.scores[q], strict=True))
            if row >= 0
        ),
        as_json,
    )
