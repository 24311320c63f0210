"""What can be exported from the artifacts of a workspace: similar items, neighbouring sessions, recommendations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import numpy as np

from embedrec.data.item_filter import ItemFilter
from embedrec.data.result_lists import ResultLists, item_lists
from embedrec.data.sessions import Sessions, sessionize
from embedrec.data.topk import TopK
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.export.policies.base import PolicyInputs
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.models.filtered_recommend import recommend_filtered
from embedrec.models.serialization import load_model
from embedrec.models.vector_model import VectorModel
from embedrec.readers.table import Table
from embedrec.storage.artifacts import Artifact
from embedrec.storage.atomic import sha256
from embedrec.storage.remote import ReadPath
from embedrec.storage.workspace import Workspace
from embedrec.tabular.read_settings import ReadSettings
from embedrec.vectors.embeddings import Embeddings
from embedrec.workflows.lineage import filter_items, item_features, provenance, training_sessions
from embedrec.workflows.neighbours import open_session_neighbours, session_sources
from embedrec.workflows.recommend import open_recommender
from embedrec.workflows.similar import find_item_source, item_sources, open_item_neighbours

_DESCRIBED = ("recipe", "spec", "metric", "settings", "facts")  # of a manifest


@dataclass(frozen=True)
class ExportSource:
    """Which lists an export writes.

    of            neighbours of items, neighbours of training sessions, or next items for histories
    model, index  names; with neither, the latest
    search        settings of an index; they override those it was built with
    popularity    exponent of the item norms of a model with vectors; not of sessions
    device        where vectors are compared, see `open_item_neighbours`; for items
    attributes    table of item features; None for those of the training sessions
    allowed       items that may be in the lists; None for all; not of sessions
    histories     the table of histories, for recommendations
    exclude_seen  whether items of a history are excluded from its recommendations
    threads       of a model, see `load_model`
    """

    of: Literal["items", "sessions", "recommendations"] = "items"
    model: str | None = None
    index: str | None = None
    search: SearchSettings = AS_BUILT
    popularity: float | None = None
    device: str = "cpu"
    attributes: ReadPath | None = None
    allowed: ItemFilter | None = None
    histories: ReadPath | None = None
    exclude_seen: bool = True
    threads: int = 1

    def candidates(self, workspace: Workspace) -> list[Artifact]:
        """The artifacts from which the source is chosen; none if it has a name."""
        if self.model is not None or self.index is not None:
            return []
        if self.of == "recommendations":
            return workspace.artifacts("model")
        return item_sources(workspace) if self.of == "items" else session_sources(workspace)


@dataclass(frozen=True, eq=False)
class Exportable:
    """What an export writes.

    used      the artifacts that were opened
    lists     the list of every seed
    inputs    what policies use
    about     what identifies the lists, as JSON values
    vectors   computes the vectors of the seeds; raises SettingsError if the model has none
    messages  remarks on the filter and on unknown items
    """

    used: tuple[Artifact, ...]
    lists: ResultLists
    inputs: PolicyInputs
    about: dict[str, Any]
    vectors: Callable[[], Embeddings]
    messages: Sequence[str] = ()


def open_export_source(workspace: Workspace, source: ExportSource) -> Exportable:
    """Open the artifacts of an export.

    Raises SettingsError without histories to recommend for, DataError for tables that cannot be read, and the errors of
    `open_item_neighbours`, `open_session_neighbours` and `open_recommender`.
    """
    opener = {"items": _items, "sessions": _sessions, "recommendations": _recommendations}[source.of]
    return opener(workspace, source)


def _items(workspace: Workspace, given: ExportSource) -> Exportable:
    """Every item's nearest other items."""
    source = find_item_source(workspace, given.model, given.index)
    opened = open_item_neighbours(
        source, given.search, popularity=given.popularity, device=given.device, threads=given.threads
    )
    features = item_features(workspace, lambda: opened.model(workspace), opened.vocab, given.attributes, opened.index)
    mask, messages = filter_items(given.allowed, opened.vocab, features)
    lists = item_lists(opened.among(mask))

    def trained() -> Sessions:
        return Sessions.load(training_sessions(workspace, opened.model(workspace)))

    def vectors() -> Embeddings:
        if opened.vectors is None:
            raise _no_vectors(source)
        return opened.vectors

    inputs = PolicyInputs(lists.vocab, trained, features, opened.vectors, allowed=mask)
    about = _about(given, (source,)) | {"popularity": given.popularity, **_filter(given.allowed)}
    return Exportable((source,), lists, inputs, about, vectors, messages)


def _sessions(workspace: Workspace, given: ExportSource) -> Exportable:
    """Every training session's nearest other sessions."""
    past = open_session_neighbours(workspace, given.model, given.index, given.search)
    sessions, vocab = past.sessions, Vocab(past.sessions.ids)

    def best(rows: np.ndarray, k: int) -> TopK:
        numbers, scores = past.find(sessions.take(rows), k + 1)
        return TopK(numbers, scores, vocab).without(rows)

    def vectors() -> Embeddings:
        source = next(a for a in past.used if a.kind == "model")
        loaded = load_model(source)
        if not isinstance(loaded, VectorModel):
            raise _no_vectors(source)
        return loaded.encode(sessions)

    def nothing() -> NoReturn:
        raise SettingsError("sessions have no features; leave --cap out")

    lists = ResultLists(vocab, vocab, best, max(len(vocab) - 1, 0), ("session", "similar"))
    inputs = PolicyInputs(vocab, lambda: sessions, nothing)
    return Exportable(past.used, lists, inputs, _about(given, past.used), vectors)


def _recommendations(workspace: Workspace, given: ExportSource) -> Exportable:
    """What a model recommends for each history of a table, see `Table`."""
    path, exclude_seen = given.histories, given.exclude_seen
    if path is None:
        raise SettingsError("recommendations need a table of histories; name it with --histories")
    names = (given.model, given.index)
    opened = open_recommender(workspace, *names, given.search, popularity=given.popularity, threads=given.threads)
    source, used_model = opened.source, opened.model
    histories = sessionize(Table().read([str(path)], ReadSettings()))
    vocab = used_model.vocab
    known = _known(histories, vocab)
    if not len(known.items):
        raise DataError(f"{path} contains no item that model {source.name} knows; check its column of items")
    features = item_features(workspace, lambda: source, vocab, given.attributes, opened.index)
    mask, messages = filter_items(given.allowed, vocab, features)

    def best(rows: np.ndarray, k: int) -> TopK:
        return recommend_filtered(used_model, known.take(rows), k, exclude_seen=exclude_seen, allowed=mask)

    def trained() -> Sessions:
        return Sessions.load(training_sessions(workspace, source))

    def vectors() -> Embeddings:
        if not isinstance(used_model, VectorModel):
            raise _no_vectors(source)
        return used_model.encode(known)

    lists = ResultLists(Vocab(histories.ids), vocab, best, len(vocab), ("history", "item"))
    items = used_model.embeddings if isinstance(used_model, VectorModel) else None
    none = Sessions(np.zeros(len(histories) + 1, np.int64), np.zeros(0, np.int32), vocab, histories.ids)
    inputs = PolicyInputs(vocab, trained, features, items, known if exclude_seen else none, mask)
    about = _about(given, opened.used) | {
        "popularity": given.popularity,
        "seen": not exclude_seen,
        "histories": _table(path),
        **_filter(given.allowed),
    }
    if len(known.items) < len(histories.items):
        unknown, empty = len(histories.items) - len(known.items), int((known.lengths == 0).sum())
        messages.append(
            f"{unknown:,} of {len(histories.items):,} events of the histories have items unknown to the model; "
            f"{empty:,} of {len(histories):,} histories contain no known item"
        )
    return Exportable(opened.used, lists, inputs, about, vectors, messages)


def _known(histories: Sessions, vocab: Vocab) -> Sessions:
    """Histories in a model's vocabulary, without unknown items."""
    rows = vocab.rows_of(histories.vocab.ids)
    return histories.renumber(rows[histories.items], vocab)


def _no_vectors(source: Artifact) -> SettingsError:
    return SettingsError(f"model {source.name} has no vectors; export its lists, or name another model")


def _filter(allowed: ItemFilter | None) -> dict[str, Any]:
    """What identifies a filter; empty without one, so that exports interrupted by older versions can be resumed."""
    return {"allowed": allowed.about()} if allowed else {}


def _about(given: ExportSource, used: tuple[Artifact, ...]) -> dict[str, Any]:
    """What identifies the lists: artifacts with their measured recall, settings of the search, and a table."""
    sources = []
    for artifact in used:
        described = {"kind": artifact.kind, **provenance(artifact)}
        described |= {key: artifact.about[key] for key in _DESCRIBED if key in artifact.about}
        sources.append(described)
    return {
        "of": given.of,
        "sources": sources,
        "search": given.search.numbers(),
        "attributes": _table(given.attributes),
    }


def _table(path: ReadPath | None) -> dict[str, str] | None:
    """What identifies a table. Raises DataError if the file does not exist."""
    if path is not None and not path.is_file():
        raise DataError(f"no file {path}; check the path")
    return None if path is None else {"file": path.name, "sha256": sha256(path)}
