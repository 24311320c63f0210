"""`embedrec items`: which items there are, by parts of ids and names."""

from __future__ import annotations

from typing import Any

import click

from embedrec.cli.shared.artifacts import latest_sessions, taken
from embedrec.cli.shared.id_arguments import TakesIds
from embedrec.cli.shared.options import emit, json_option, note, workspace_option
from embedrec.cli.shared.search_options import check_not_both
from embedrec.storage.workspace import Workspace


@click.command(cls=TakesIds, short_help="Find items by parts of their names or ids.")
@click.argument("query")
@click.option("-n", "count", type=click.IntRange(1), default=20, show_default=True, help="Items.")
@click.option("--sessions", metavar="NAME", help="Sessions whose items are searched [default: the latest].")
@click.option("--model", metavar="NAME", help="Model whose items are searched instead.")
@click.option("--index", metavar="NAME", help="Index whose items are searched instead.")
@json_option
@workspace_option
def items(
    query: str,
    count: int,
    sessions: str | None,
    model: str | None,
    index: str | None,
    as_json: bool,
    workspace: Workspace,
) -> None:
    """The items whose id or name holds QUERY, the most mentioned first; else those that hold its words, but for typos.

    Capitals and accents do not count. Columns: the item, name, mentions in the data, what else is known of it.

    \b
    embedrec items "dream run"
    embedrec items scisor --json
    embedrec items 4gzpq5 --model word2vec
    """
    from embedrec.data.item_text import as_text
    from embedrec.workflows.items import find, open_catalogue

    check_not_both(model, index)
    if sessions is not None and (model or index):
        raise click.UsageError("items are of sessions, of a model or of an index; name one of them")
    if model is not None or index is not None:
        source = taken(workspace, workspace.find("model" if model else "index", model or index))
    elif sessions is None and not workspace.folders("sessions") and workspace.folders("model"):
        source = taken(workspace, workspace.find("model"))
    else:
        source = latest_sessions(workspace, sessions)
    catalogue = open_catalogue(workspace, source)
    found = find(catalogue, query)
    if found.nearly:
        note(f"nothing holds {query!r}; these nearly do")
    if len(found.rows) > count:
        note(f"{len(found.rows):,} items, the first {count}; -n shows more")
    rows = found.rows[:count]
    records: list[dict[str, Any]] = []
    for row, known in zip(rows.tolist(), catalogue.known(rows), strict=True):
        records.append(
            {
                "item": catalogue.vocab.id(row),
                "name": catalogue.vocab.name(row),
                "count": None if catalogue.counts is None else int(catalogue.counts[row]),
                "features": known if as_json else as_text(known),
            }
        )
    emit(records, as_json)
