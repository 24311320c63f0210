"""The nearest items of an item: through an index, or from a model, which searches exactly or keeps them in lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from embedrec.data.topk import TopK
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.models import MODELS
from embedrec.models.neighbour_lists import ListsModel
from embedrec.models.serialization import load_model, with_popularity
from embedrec.models.vector_model import VectorModel
from embedrec.storage.artifacts import Artifact
from embedrec.storage.lineage import newest_of_line
from embedrec.storage.workspace import Workspace
from embedrec.vectors.embeddings import Embeddings


@dataclass(frozen=True, eq=False)
class ItemNeighbourSource:
    """What item neighbours are taken from; an `ItemNeighbours`.

    source      the artifact: an index or a model
    neighbours  rows (q,) int64, k → TopK (q, k); with allowed=, (n,) bool, among those only
    vectors     what is compared; None where neighbours are kept in lists
    """

    source: Artifact
    vocab: Vocab
    neighbours: Callable[..., TopK]
    vectors: Embeddings | None = None

    def among(self, allowed: np.ndarray | None) -> ItemNeighbourSource:
        """The same, which finds only what is allowed: (n,) bool; all where it is None."""
        return self if allowed is None else replace(self, neighbours=partial(self.neighbours, allowed=allowed))

    def model(self, workspace: Workspace) -> Artifact:
        """The model it comes from."""
        return self.source if self.source.kind == "model" else workspace.find("model", self._indexed)

    @property
    def index(self) -> Artifact | None:
        """The index it comes from; None where it comes from a model."""
        return self.source if self.source.kind == "index" else None

    @property
    def _indexed(self) -> str:
        return str(self.source.about["indexed"]["name"])


def nearest_source(workspace: Workspace, model: str | None = None, index: str | None = None) -> Artifact:
    """The artifact that item neighbours are taken from.

    model, index  names; with neither, the newest of `item_sources` in the line of the newest index, see `lineage`

    Raises ArtifactError for what is missing, SettingsError for an index of something else.
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
    """All indexes of items, and models of co-occurrence, which need none; the oldest first."""
    indexes = [a for a in workspace.artifacts("index") if a.about.get("of", "items") == "items"]
    listing = {name for name, entry in MODELS.items() if entry.item_neighbours}
    lists = [a for a in workspace.artifacts("model") if a.about.get("recipe") in listing]
    return sorted(indexes + lists, key=lambda a: (a.created, a.name))


def open_nearest(
    source: Artifact, settings: SearchSettings = AS_BUILT, *, popularity: float | None = None, device: str = "cpu"
) -> ItemNeighbourSource:
    """Item neighbours from an artifact.

    settings    of searches of an index, over those it was built with
    popularity  of a model with vectors: how much of an item's norm counts, see `VectorModel.scale_norms`
    device      where vectors are compared: "cpu", or "cuda" for a GPU, see `index.gpu.on_gpu`

    Raises SettingsError for a model that knows no neighbours, for settings that it does not have, for a popularity
    where there are no vectors or an index of them is built already, and for a GPU that is not there or not needed.
    """
    if popularity is not None and source.kind == "index":
        raise SettingsError(
            f"the vectors in index {source.name} are as they are; name a model with --model, or build the index with "
            "`embedrec build-index --popularity`"
        )
    if source.kind == "index":
        from embedrec.index.serialization import load_index

        index = load_index(source)
        searched = index if device == "cpu" else _on_gpu(index)
        return ItemNeighbourSource(
            source, index.vocab, partial(searched.neighbours, settings=settings), index.embeddings
        )
    settings.need_index(source.name)
    found = load_model(source)
    if not isinstance(found, VectorModel | ListsModel):
        raise SettingsError(
            f"model {source.name} ({source.about['recipe']}) does not know which items are similar; "
            "train word2vec or cooccurrence, or name another model with --model"
        )
    model = with_popularity(source, found, popularity)
    vectors = model.embeddings if isinstance(model, VectorModel) else None
    if device == "cpu":
        return ItemNeighbourSource(source, model.vocab, model.neighbours, vectors)
    if vectors is None:
        raise SettingsError(f"model {source.name} ({source.about['recipe']}) keeps lists; leave --device out")
    return ItemNeighbourSource(source, model.vocab, _on_gpu(vectors).neighbours, vectors)


def _on_gpu(source: Any) -> Any:
    from embedrec.index.gpu import on_gpu

    return on_gpu(source)
