"""`embedrec neighbours`."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from embedrec.cli.shared.artifacts import took_all
from embedrec.cli.shared.id_arguments import TakesIds
from embedrec.cli.shared.options import emit, json_option, threads_option, use_threads, workspace_option
from embedrec.cli.shared.search_options import check_not_both, search_options
from embedrec.index.search_settings import SearchSettings
from embedrec.storage.workspace import Workspace


@click.command(cls=TakesIds, short_help="Find the past sessions nearest to a history.")
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
    import numpy as np

    from embedrec.workflows.neighbours import open_past, session_sources

    if bool(items) == (session is not None):
        raise click.UsageError("give either ITEM... or --session")
    check_not_both(model, index)
    past = open_past(workspace, model, index, settings)
    took_all(workspace, past.used, session_sources(workspace) if model is None and index is None else ())
    use_threads(threads)
    history, sessions = past.history(items, session), past.sessions
    reach = min(count + (session is not None), len(sessions))
    numbers, scores = past.find(history, reach)
    itself = -1 if session is None else int(np.flatnonzero(sessions.ids == history.ids[0])[0])
    nearest = [
        (number, score)
        for number, score in zip(numbers[0].tolist(), scores[0].tolist(), strict=True)
        if number >= 0 and number != itself
    ][:count]
    vocab = sessions.vocab
    query = set(history.reindex(vocab).items.tolist())
    records = []
    for rank, (number, score) in enumerate(nearest, 1):
        members = sessions[number].tolist()
        labels = [vocab.name(row) or vocab.id(row) for row in members]
        last = None if sessions.times is None else int(sessions.times[sessions.offsets[number + 1] - 1])
        when = "" if last is None else datetime.fromtimestamp(last / 1000, UTC).isoformat(timespec="seconds")
        records.append(
            {
                "rank": rank,
                "session": sessions.ids[number : number + 1].tolist()[0],
                "score": round(score, 4),
                "time": when,
                "shared": len(query & set(members)),
                "items": [vocab.id(row) for row in members] if as_json else " | ".join(map(str, labels)),
            }
        )
    emit(records, as_json)
