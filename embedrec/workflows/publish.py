"""Publish an artifact: its content, and what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from embedrec.cli.shared.artifacts import took_all
from embedrec.cli.shared.search_options import check_not_both
from embedrec.errors import SettingsError
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.publish.content import Publication


def _publication(
    *,
    count: int,
    items: str | None,
    index: str | None,
    model: str | None,
    popularity: float | None,
    settings: Any,
    stale_ok: bool,
    workspace: Workspace,
) -> Publication:
    """What is published, of an index or a model. Raises SettingsError for vectors where there are none."""
    from embedrec.publish.content import Publication
    from embedrec.workflows.similar import item_sources, nearest_source, open_nearest

    check_not_both(model, index)
    source = nearest_source(workspace, model, index)
    choice = item_sources(workspace) if model is None and index is None else ()
    took_all(workspace, [source], choice, stale_ok=stale_ok)
    opened = open_nearest(source, settings, popularity=popularity)
    if items in ("vectors", "both") and opened.vectors is None:
        raise SettingsError(
            f"model {source.name} ({source.about['recipe']}) has no vectors; publish --items neighbours, which "
            "qdrant does not take, or name another model with --model"
        )
    made_from = {
        "source": f"{source.kind} {source.name}",
        "made_from": source.fingerprint,
        "popularity": popularity,
        "search": settings.numbers(),
    }
    neighbours = None if items == "vectors" else opened.neighbours
    return Publication(opened.vocab, neighbours, None if items == "neighbours" else opened.vectors, count, made_from)
