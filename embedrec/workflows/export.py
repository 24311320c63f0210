"""What can be exported from the artifacts of a workspace: similar items, neighbouring sessions, recommendations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from embedrec.data.item_filter import ItemFilter
from embedrec.data.sessions import Sessions, sessionize
from embedrec.data.topk import TopK
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.export.policies.base import PolicyInputs
from embedrec.export.result_lists import ResultLists, item_lists
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.models.filtered_recommend import recommend_filtered
from embedrec.models.serialization import load_model
from embedrec.models.vector_model import VectorModel
from embedrec.readers.table import Table
from embedrec.storage.artifacts import Artifact
from embedrec.storage.atomic import sha256
from embedrec.storage.workspace import Workspace
from embedrec.tabular.read_settings import ReadSettings
from embedrec.vectors.embeddings import Embeddings
from embedrec.workflows.lineage import filter_items, item_features, provenance, training_sessions
from embedrec.workflows.neighbours import open_session_neighbours
from embedrec.workflows.recommend import Recommender
from embedrec.workflows.similar import find_item_source, open_item_neighbours

_TOLD = ("recipe", "spec", "metric", "settings", "facts")  # of a manifest


@dataclass(frozen=True, eq=False)
class Exportable:
    """What an export takes.

    used      the artifacts, for notes
    answers   the lists
    material  what policies look at
    about     what tells these lists from others, as JSON values
    vectors   vectors of the seeds; raises SettingsError where there are none
    messages  remarks on the filter
    """

    used: tuple[Artifact, ...]
    answers: ResultLists
    material: PolicyInputs
    about: dict[str, Any]
    vectors: Callable[[], Embeddings]
    messages: Sequence[str] = ()


def exportable_items(
    workspace: Workspace,
    model: str | None,
    index: str | None,
    settings: SearchSettings = AS_BUILT,
    *,
    popularity: float | None = None,
    attributes: Path | None = None,
    allowed: ItemFilter | None = None,
    device: str = "cpu",
) -> Exportable:
    """Every item's nearest others; arguments as of `find_item_source` and `open_item_neighbours`.

    attributes  table of what is known of items, for caps; None takes the features of the training sessions
    allowed     which items may stand in lists
    """
    source = find_item_source(workspace, model, index)
    opened = open_item_neighbours(source, settings, popularity=popularity, device=device)
    features = item_features(workspace, lambda: opened.model(workspace), opened.vocab, attributes, opened.index)
    mask, messages = filter_items(allowed, opened.vocab, features)
    answers = item_lists(opened.among(mask))

    def trained() -> Sessions:
        return Sessions.load(training_sessions(workspace, opened.model(workspace)))

    def vectors() -> Embeddings:
        if opened.vectors is None:
            raise _no_vectors(source)
        return opened.vectors

    material = PolicyInputs(answers.vocab, trained, features, opened.vectors, allowed=mask)
    about = _about("items", (source,), settings, attributes) | {"popularity": popularity, **_filter(allowed)}
    return Exportable((source,), answers, material, about, vectors, messages)


def exportable_sessions(
    workspace: Workspace, model: str | None, index: str | None, settings: SearchSettings = AS_BUILT
) -> Exportable:
    """The neighbours of every training session among the others; arguments as of `open_session_neighbours`."""
    past = open_session_neighbours(workspace, model, index, settings)
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

    answers = ResultLists(vocab, vocab, best, max(len(vocab) - 1, 0), ("session", "similar"))
    about = _about("sessions", past.used, settings)
    return Exportable(past.used, answers, PolicyInputs(vocab, lambda: sessions, nothing), about, vectors)


def exportable_recommendations(
    workspace: Workspace,
    opened: Recommender,
    histories: Path,
    settings: SearchSettings = AS_BUILT,
    *,
    popularity: float | None = None,
    exclude_seen: bool = True,
    attributes: Path | None = None,
    allowed: ItemFilter | None = None,
) -> Exportable:
    """What a model recommends for each history of a file.

    opened        the model, from `open_recommender` with these settings and popularity
    histories     a table of a session (or user), an item, and a time or position where known, see `Table`
    exclude_seen  whether items of the history are left out
    allowed       which items may be recommended

    Raises DataError for files that cannot be read.
    """
    source, used_model = opened.source, opened.model
    given = sessionize(Table().read([histories], ReadSettings()))
    vocab = used_model.vocab
    known = _known(given, vocab)
    if not len(known.items):
        raise DataError(f"{histories} names no item that model {source.name} knows; check its column of items")
    features = item_features(workspace, lambda: source, vocab, attributes, opened.index)
    mask, messages = filter_items(allowed, vocab, features)

    def best(rows: np.ndarray, k: int) -> TopK:
        return recommend_filtered(used_model, known.take(rows), k, exclude_seen=exclude_seen, allowed=mask)

    def trained() -> Sessions:
        return Sessions.load(training_sessions(workspace, source))

    def vectors() -> Embeddings:
        if not isinstance(used_model, VectorModel):
            raise _no_vectors(source)
        return used_model.encode(known)

    answers = ResultLists(Vocab(given.ids), vocab, best, len(vocab), ("history", "item"))
    items = used_model.embeddings if isinstance(used_model, VectorModel) else None
    none = Sessions(np.zeros(len(given) + 1, np.int64), np.zeros(0, np.int32), vocab, given.ids)
    material = PolicyInputs(vocab, trained, features, items, known if exclude_seen else none, mask)
    about = _about("recommendations", opened.used, settings, attributes)
    about |= {
        "popularity": popularity,
        "seen": not exclude_seen,
        "histories": _table(histories),
        **_filter(allowed),
    }
    if len(known.items) < len(given.items):
        unknown, empty = len(given.items) - len(known.items), int((known.lengths == 0).sum())
        messages.append(
            f"{unknown:,} of {len(given.items):,} events of the histories are of items that the model does not know; "
            f"{empty:,} of {len(given):,} histories hold no other"
        )
    return Exportable(opened.used, answers, material, about, vectors, messages)


def _known(given: Sessions, vocab: Vocab) -> Sessions:
    """Histories in a model's vocabulary, without what that does not hold."""
    rows = vocab.rows_of(given.vocab.ids)
    return given.renumbered(rows[given.items], vocab)


def _no_vectors(source: Artifact) -> SettingsError:
    return SettingsError(f"model {source.name} has no vectors; export its lists, or name another model")


def _filter(allowed: ItemFilter | None) -> dict[str, Any]:
    """What tells a filter from others; nothing where there is none, so that what was kept without one stays good."""
    return {"allowed": allowed.about()} if allowed else {}


def _about(
    of: str, used: tuple[Artifact, ...], settings: SearchSettings, attributes: Path | None = None
) -> dict[str, Any]:
    """What tells lists from others: artifacts with their measured recall, settings of the search, and a table."""
    sources = []
    for artifact in used:
        described = {"kind": artifact.kind, **provenance(artifact)}
        described |= {key: artifact.about[key] for key in _TOLD if key in artifact.about}
        sources.append(described)
    return {"of": of, "sources": sources, "search": settings.numbers(), "attributes": _table(attributes)}


def _table(path: Path | None) -> dict[str, str] | None:
    """What tells a table from others. Raises DataError when there is none."""
    if path is not None and not path.is_file():
        raise DataError(f"no file {path}; check the path")
    return None if path is None else {"file": path.name, "sha256": sha256(path)}
