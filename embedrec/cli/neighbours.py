"""`embedrec neighbours`."""

from __future__ import annotations

from dataclasses import asdict

import click

from embedrec.cli.shared.artifacts import use_artifacts
from embedrec.cli.shared.commands import IdCommand
from embedrec.cli.shared.options import emit, json_option, threads_option, use_threads, workspace_option
from embedrec.cli.shared.search_options import check_not_both, search_options
from embedrec.index.search_settings import SearchSettings
from embedrec.storage.workspace import Workspace


@click.command(cls=IdCommand, short_help="Find the past sessions nearest to a history.")
@click.argument("items", nargs=-1, metavar="[ITEM...]")
@click.option(
    "--session", metavar="ID", help="Query with this past session instead of items; the session itself is left out."
)
@click.option("-n", "count", type=click.IntRange(1), default=10, show_default=True, help="Number of sessions.")
@click.option("--model", metavar="NAME", help="Model to search exactly: session kNN, or a model with vectors.")
@click.option("--index", metavar="NAME", help="Index of sessions to search.")
@search_options("the index's")
@json_option
@threads_option
@workspace_option
def neighbours(
    items: tuple[str, ...],
    session: str | None,
    count: int,
    model: str | None,
    index: str | None,
    settings: SearchSettings,
    as_json: bool,
    threads: int,
    workspace: Workspace,
) -> None:
    """Find the past sessions nearest to the history ITEM... (ids or names, oldest first), or to a past session.

    Uses the latest index of sessions (`embedrec build-index --of sessions`), else the latest model.

    \b
    embedrec neighbours "Daft Punk" Justice
    embedrec neighbours --session 4711 --model vsknn

    Columns: rank, session, score, time of its last event, number of shared items, its items.
    """
    from embedrec.workflows.neighbours import nearest_sessions, open_session_neighbours, session_sources

    if bool(items) == (session is not None):
        raise click.UsageError("give either ITEM... or --session")
    check_not_both(model, index)
    past = open_session_neighbours(workspace, model, index, settings)
    use_artifacts(workspace, past.used, session_sources(workspace) if model is None and index is None else ())
    use_threads(threads)
    records = []
    for neighbour in nearest_sessions(past, items, session, count):
        record = asdict(neighbour)
        names = " | ".join(record.pop("names"))
        records.append(record if as_json else record | {"items": names})
    emit(records, as_json)
