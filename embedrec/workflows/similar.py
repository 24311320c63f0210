"""The nearest items of an item: through an index, exactly from a model's vectors, from a model's neighbour lists, or
what a composite model recommends after the item alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from embedrec.data.find_items import find_items
from embedrec.data.topk import TopK
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.models import MODELS
from embedrec.storage.artifacts import Artifact
from embedrec.storage.lineage import newest_of_line
from embedrec.storage.workspace import Workspace
from embedrec.vectors.embeddings import Embeddings
from embedrec.workflows.lineage import distinguishing_features, filter_items, item_features, model_of, training_sessions

if TYPE_CHECKING:
    from embedrec.data.item_filter import ItemFilter
    from embedrec.data.sessions import Sessions

_DEFAULT_COUNT = 10  # neighbours per item


@dataclass(frozen=True, eq=False)
class ItemNeighbourSource:
    """Where item neighbours come from; an `ItemNeighbours`.

    source      the artifact: an index or a model
    neighbours  rows (q,) int64, k → TopK (q, k); with allowed=, (n,) bool, among those only
    vectors     the vectors compared; None for a model without vectors
    """

    source: Artifact
    vocab: Vocab
    neighbours: Callable[..., TopK]
    vectors: Embeddings | None = None

    def among(self, allowed: np.ndarray | None) -> ItemNeighbourSource:
        """The same source, restricted to the items allowed: (n,) bool; None allows all."""
        return self if allowed is None else replace(self, neighbours=partial(self.neighbours, allowed=allowed))

    def exact(self) -> ItemNeighbourSource:
        """The same source without an index: every vector is compared."""
        vectors = self.vectors
        if vectors is None or self.index is None:
            return self

        def neighbours(rows: np.ndarray, k: int, *, allowed: np.ndarray | None = None) -> TopK:
            return vectors.search(vectors.vectors[rows], k + 1, allowed=allowed).without(rows)

        return replace(self, neighbours=neighbours)

    def model(self, workspace: Workspace) -> Artifact:
        """The model it comes from."""
        return self.source if self.index is None else model_of(workspace, self.source)

    @property
    def index(self) -> Artifact | None:
        """The index it comes from; None if it comes from a model."""
        return self.source if self.source.kind == "index" else None


@dataclass(frozen=True)
class SimilarItem:
    """A neighbour of an item.

    rank      1 for the nearest
    sessions  ids of training sessions that contain both, and their similarities; None unless explained
    """

    item: Any
    rank: int
    similar: Any
    score: float
    name: str
    sessions: list[tuple[Any, float]] | None = None

    @property
    def id(self) -> Any:
        """The id of the neighbour."""
        return self.similar


@dataclass(frozen=True)
class SimilarItems:
    """The neighbours of some items.

    messages      remarks on the filter and the count
    explained_by  the training sessions that explain them, if asked for
    """

    neighbours: list[SimilarItem]
    messages: list[str]
    explained_by: Artifact | None = None


def find_item_source(workspace: Workspace, model: str | None = None, index: str | None = None) -> Artifact:
    """The artifact that item neighbours come from.

    model, index  names; with neither, the newest of `item_sources` in the line of the newest index, see `lineage`

    Raises ArtifactError if there is none, SettingsError for an index of something else than items.
    """
    if model is not None:
        return workspace.find("model", model)
    if index is None:
        sources = item_sources(workspace)
        if sources:
            newest_index = [a for a in sources if a.kind == "index"][-1:]
            return newest_of_line(workspace, (newest_index or sources)[-1], sources)
    return workspace.find("index", index, of="items")


def item_sources(workspace: Workspace) -> list[Artifact]:
    """All indexes of items, and the models with neighbour lists, which need no index; the oldest first."""
    indexes = [a for a in workspace.artifacts("index") if a.about.get("of", "items") == "items"]
    listing = {name for name, entry in MODELS.items() if entry.item_neighbours}
    lists = [a for a in workspace.artifacts("model") if a.about.get("recipe") in listing]
    return sorted(indexes + lists, key=lambda a: (a.created, a.name))


def open_item_neighbours(
    source: Artifact,
    settings: SearchSettings = AS_BUILT,
    *,
    popularity: float | None = None,
    device: str = "cpu",
    threads: int = 1,
) -> ItemNeighbourSource:
    """Item neighbours from an index or a model.

    settings    search settings of an index; they override those it was built with
    popularity  exponent of the item norms of a model with vectors, see `VectorModel.scale_norms`
    device      where vectors are compared: "cpu", or "cuda" for a GPU, see `index.gpu.on_gpu`
    threads     of a model, see `load_model`

    Raises SettingsError for a model without item neighbours, for settings that it does not have, for a popularity if
    there are no vectors or an index of them exists already, and for a GPU that is missing or of no use.
    """
    if source.kind == "model":
        return _from_model(source, settings, popularity, device, threads)
    if popularity is not None:
        raise SettingsError(
            f"--popularity cannot change the existing index {source.name}; name a model with --model, or rebuild the "
            "index with `embedrec build-index --popularity`"
        )
    from embedrec.index.serialization import load_index

    index = load_index(source)
    searched = index if device == "cpu" else _on_gpu(index)
    return ItemNeighbourSource(source, index.vocab, partial(searched.neighbours, settings=settings), index.embeddings)


def _from_model(
    source: Artifact, settings: SearchSettings, popularity: float | None, device: str, threads: int
) -> ItemNeighbourSource:
    from embedrec.models.serialization import load_model, with_popularity

    settings.require_index(source.name)
    loaded = load_model(source, threads=threads)
    if neighbours_of_model(source, loaded) is None:
        raise SettingsError(
            f"model {source.name} ({source.about['recipe']}) has no item neighbours; "
            "train word2vec or cooccurrence, or name another model with --model"
        )
    neighbours = neighbours_of_model(source, with_popularity(source, loaded, popularity))
    assert neighbours is not None  # a popularity exponent takes no neighbours away
    if device == "cpu":
        return neighbours
    if neighbours.vectors is None:
        raise SettingsError(f"model {source.name} ({source.about['recipe']}) has no vectors; leave --device out")
    return replace(neighbours, neighbours=_on_gpu(neighbours.vectors).neighbours)


def neighbours_of_model(source: Artifact, model: Any) -> ItemNeighbourSource | None:
    """The item neighbours of the model of an artifact; None if it has none."""
    from embedrec.models.neighbour_lists import ListsModel
    from embedrec.models.vector_model import VectorModel
    from embedrec.ranking.composite import CompositeModel

    if not isinstance(model, VectorModel | ListsModel | CompositeModel):
        return None
    vectors = model.embeddings if isinstance(model, VectorModel) else None
    return ItemNeighbourSource(source, model.vocab, model.neighbours, vectors)


def _on_gpu(source: Any) -> Any:
    from embedrec.index.gpu import on_gpu

    return on_gpu(source)


def similar_items(
    workspace: Workspace,
    source: ItemNeighbourSource,
    items: Sequence[str],
    count: int | None = None,
    allowed: ItemFilter | None = None,
    *,
    explain: bool = False,
) -> SimilarItems:
    """The nearest items of each item.

    items    ids, ids without their URI prefix, or names
    count    neighbours per item; None for 10, or all if there are fewer
    allowed  items that may be neighbours; None for all
    explain  also the smallest training sessions that contain both items

    Raises UnknownItemError for an item that is unknown or ambiguous, SettingsError if no item is allowed, or if the
    sessions to explain with have changed.
    """
    vocab = source.vocab
    attributes = None if allowed is None else allowed.attributes
    features = item_features(workspace, lambda: source.model(workspace), vocab, attributes, source.index)
    rows = find_items(vocab, items, distinguishing_features(features, vocab))
    sessions = training_sessions(workspace, source.model(workspace)) if explain else None
    loads = None if sessions is None else partial(_load_sessions, sessions)
    lists, messages = neighbours_of_rows(workspace, source, rows, count, allowed, explain=loads)
    return SimilarItems([neighbour for one in lists for neighbour in one], messages, sessions)


def _load_sessions(source: Artifact) -> Sessions:
    from embedrec.data.sessions import Sessions

    return Sessions.load(source)


def neighbours_of_rows(
    workspace: Workspace,
    source: ItemNeighbourSource,
    rows: np.ndarray,
    count: int | None = None,
    allowed: ItemFilter | None = None,
    *,
    explain: Callable[[], Sessions] | None = None,
) -> tuple[list[list[SimilarItem]], list[str]]:
    """The nearest items of each row (q,), and remarks; see `similar_items`.

    explain  loads the training sessions that explain the results; None for no explanation
    """
    vocab = source.vocab
    attributes = None if allowed is None else allowed.attributes
    features = item_features(workspace, lambda: source.model(workspace), vocab, attributes, source.index)
    mask, messages = filter_items(allowed, vocab, features)
    k, more = neighbour_count(vocab, count)
    results = source.among(mask).neighbours(rows, k)
    reasons = None if explain is None else _reasons(explain(), results, rows)
    return similar_lists(results, rows, reasons), messages + more


def neighbour_count(vocab: Vocab, count: int | None) -> tuple[int, list[str]]:
    """The number of neighbours to search for an item, and a remark if fewer than `count` exist; see `similar_items`."""
    others = len(vocab) - 1
    if count is not None and count > others > 0:
        return others, [f"an item has {others} others in a catalogue of {len(vocab)}, fewer than {count}"]
    return count or max(1, min(_DEFAULT_COUNT, others)), []


def similar_lists(
    results: TopK, rows: np.ndarray, reasons: list[list[list[tuple[Any, float]]]] | None = None
) -> list[list[SimilarItem]]:
    """The neighbours of each item, best first.

    results  TopK (q, k) of the items rows (q,)
    reasons  for each item and each of its neighbours, the sessions that contain both
    """
    ids, names = results.vocab.ids, results.vocab.names
    lists = []
    for q, item in enumerate(ids[rows].tolist()):
        others = results.rows[q]
        scores = results.scores[q].tolist()
        if others[-1] < 0:
            others = others[others >= 0]
        similar = ids[others].tolist()
        labels = [""] * len(similar) if names is None else names[others].tolist()
        why = [None] * len(similar) if reasons is None else reasons[q]
        lists.append(
            [
                SimilarItem(item, rank, other, round(score, 4), name, sessions)
                for rank, (other, score, name, sessions) in enumerate(
                    zip(similar, scores, labels, why, strict=False), 1
                )
            ]
        )
    return lists


def _reasons(sessions: Sessions, results: TopK, rows: np.ndarray) -> list[list[list[tuple[Any, float]]]]:
    """For each item and each of its neighbours, the training sessions that contain both."""
    from embedrec.workflows.explain import sessions_with_both

    vocab = results.vocab
    return [
        sessions_with_both(sessions, vocab.id(row), [vocab.id(other) for other in others[others >= 0].tolist()])
        for row, others in zip(rows.tolist(), results.rows, strict=True)
    ]
