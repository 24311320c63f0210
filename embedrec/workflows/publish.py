"""The content to publish of what can be exported: lists, vectors, or both."""

from __future__ import annotations

from typing import Any

from embedrec.data.result_lists import ResultLists
from embedrec.errors import SettingsError
from embedrec.export.write_lists import ExportSettings
from embedrec.publish.content import PublishContent
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.space import space_of
from embedrec.workflows.export import Exportable, ExportSource


def build_publish_content(
    opened: Exportable, source: ExportSource, settings: ExportSettings, lists: ResultLists, *, items: str | None
) -> PublishContent:
    """The content to publish of an opened source.

    settings  results per list, and policies
    lists     the lists after the policies, see `select_lists`
    items     "neighbours", "vectors" or "both"; None takes both for items that have vectors, else lists only

    Raises SettingsError for vectors of a model that has none, and for filters and policies without lists.
    """
    has_vectors = source.of == "items" and opened.inputs.vectors is not None
    parts = items or ("both" if has_vectors else "neighbours")
    if parts == "vectors" and (source.allowed or settings.policies.enabled()):
        raise SettingsError(
            "filters and policies apply to lists, which --items vectors leaves out; leave one of them out"
        )
    main = next(artifact for artifact in opened.used if artifact.kind != "sessions")
    if parts != "neighbours" and source.of == "items" and not has_vectors:
        raise SettingsError(
            f"model {main.name} ({main.about['recipe']}) has no vectors; use --items neighbours, which "
            "qdrant does not support, or name another model with --model"
        )
    made_from: dict[str, Any] = {
        "source": f"{main.kind} {main.name}",
        "made_from": main.fingerprint,
        "popularity": source.popularity,
        "search": source.search.numbers(),
    }
    vectors: Embeddings | None = None if parts == "neighbours" else opened.vectors()
    made_from |= _identity(opened, source, settings)
    return PublishContent(None if parts == "vectors" else lists, vectors, settings.k, made_from, space_of(main))


def _identity(opened: Exportable, source: ExportSource, settings: ExportSettings) -> dict[str, Any]:
    """What identifies the content besides its source; empty for all neighbours of items, as of earlier versions."""
    about = {} if source.of == "items" else {name: opened.about[name] for name in opened.about if name != "search"}
    about |= {name: opened.about[name] for name in ("allowed", "attributes") if opened.about.get(name)}
    if settings.policies.enabled():
        about |= {name: value for name, value in settings.about().items() if name != "asked"}
    return about
