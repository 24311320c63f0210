"""The content to publish of an artifact: neighbours, vectors, or both."""

from __future__ import annotations

from typing import Any

from embedrec.errors import SettingsError
from embedrec.publish.content import PublishContent
from embedrec.storage.artifacts import Artifact
from embedrec.workflows.similar import open_item_neighbours


def build_publish_content(
    source: Artifact, *, count: int, items: str | None, popularity: float | None, settings: Any, threads: int = 1
) -> PublishContent:
    """The content to publish of an index or a model.

    count                 neighbours of an item
    items                 "neighbours", "vectors" or "both"; None takes both, or neighbours for a model without vectors
    popularity, settings, threads  see `open_item_neighbours`

    Raises SettingsError for vectors of a model that has none.
    """
    opened = open_item_neighbours(source, settings, popularity=popularity, threads=threads)
    if items in ("vectors", "both") and opened.vectors is None:
        raise SettingsError(
            f"model {source.name} ({source.about['recipe']}) has no vectors; use --items neighbours, which "
            "qdrant does not support, or name another model with --model"
        )
    made_from = {
        "source": f"{source.kind} {source.name}",
        "made_from": source.fingerprint,
        "popularity": popularity,
        "search": settings.numbers(),
    }
    neighbours = None if items == "vectors" else opened.neighbours
    return PublishContent(opened.vocab, neighbours, None if items == "neighbours" else opened.vectors, count, made_from)
