"""`embedrec items`: search items by parts of ids and names."""

from __future__ import annotations

from dataclasses import asdict

import click

from embedrec.cli.shared.artifacts import unnamed, use_artifact
from embedrec.cli.shared.commands import IdCommand
from embedrec.cli.shared.options import emit, json_option, note, workspace_option
from embedrec.cli.shared.search_options import check_not_both
from embedrec.storage.workspace import Workspace


@click.command(cls=IdCommand, short_help="Search items by parts of names or ids.")
@click.argument("query")
@click.option("-n", "count", type=click.IntRange(1), default=20, show_default=True, help="Number of items.")
@click.option("--sessions", metavar="NAME", help="Search the items of these sessions [default: the latest].")
@click.option("--model", metavar="NAME", help="Search the items of this model instead.")
@click.option("--index", metavar="NAME", help="Search the items of this index instead.")
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
    """List the items whose id or name contains QUERY, most frequent first; if there are none, items with similar words.

    Case and accents are ignored. Columns: item, name, count in the data, features.

    \b
    embedrec items "dream run"
    embedrec items scisor --json
    embedrec items 4gzpq5 --model word2vec
    """
    from embedrec.data.item_text import format_features
    from embedrec.workflows.items import catalogue_items, find_catalogue_source, open_catalogue, search_catalogue

    check_not_both(model, index)
    if sessions is not None and (model or index):
        raise click.UsageError("--sessions, --model and --index are mutually exclusive; give one of them")
    source = find_catalogue_source(workspace, sessions, model, index)
    use_artifact(workspace, source, unnamed(workspace, "sessions", sessions, model, index))
    catalogue = open_catalogue(workspace, source)
    matches = search_catalogue(catalogue, query)
    if matches.nearly:
        note(f"no item contains {query!r}; similar items follow")
    if len(matches.rows) > count:
        note(f"showing {count} of {len(matches.rows):,} items; -n shows more")
    shown = catalogue_items(catalogue, matches.rows[:count])
    emit(
        (asdict(item) | {"features": item.features if as_json else format_features(item.features)} for item in shown),
        as_json,
    )
