"""Recommendations for a history: from a model that scores every item, or through an index of its item vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from embedrec.data.find_items import find_items
from embedrec.data.item_filter import ItemFilter
from embedrec.data.sessions import Sessions
from embedrec.data.topk import TopK
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.models.base import Model
from embedrec.models.filtered_recommend import recommend_filtered
from embedrec.models.serialization import load_model, load_vector_model, with_popularity
from embedrec.ranking.composite import CompositeModel
from embedrec.ranking.explanations import explain as explain_composite
from embedrec.ranking.explanations import session_knn_part
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.workflows.explain import explain_recommendations
from embedrec.workflows.lineage import (
    distinguishing_features,
    filter_items,
    indexed_model,
    item_features,
    training_sessions,
)

_DEFAULT_COUNT = 10


@dataclass(frozen=True, eq=False)
class Recommender:
    """A model that recommends next items.

    source  its artifact
    used    the artifacts it loads, for notes
    """

    source: Artifact
    used: tuple[Artifact, ...]
    model: Model

    @property
    def index(self) -> Artifact | None:
        """The index that it searches; None if it scores every item."""
        return next((artifact for artifact in self.used if artifact.kind == "index"), None)


@dataclass(frozen=True)
class RecommendedItem:
    """A recommended item.

    rank      1 for the best
    sessions  ids of past sessions that explain it, and their similarities; None unless explained
    parts     of a composite model, the models that proposed it, and its rank in their lists; None unless explained
    features  of a composite model, the features that moved its score most, and by how much; None unless explained
    """

    rank: int
    item: Any
    score: float
    name: str
    sessions: list[tuple[Any, float]] | None = None
    parts: dict[str, int] | None = None
    features: dict[str, float] | None = None

    @property
    def id(self) -> Any:
        """The id of the item."""
        return self.item


@dataclass(frozen=True)
class Recommendations:
    """The items recommended for one history.

    messages      remarks on the filter
    explained_by  the training sessions that explain them, if asked for
    """

    items: list[RecommendedItem]
    messages: list[str]
    explained_by: Artifact | None = None


def open_recommender(
    workspace: Workspace,
    model: str | None,
    index: str | None,
    settings: SearchSettings = AS_BUILT,
    *,
    popularity: float | None = None,
    threads: int = 1,
) -> Recommender:
    """A model, or an index built with --of answers together with its model.

    model, index  names; with neither, the latest model
    settings      search settings of an index; they override those it was built with
    popularity    exponent of the item norms of a model, see `VectorModel.scale_norms`
    threads       see `load_model`

    Raises SettingsError for an index of something else, settings that it does not have, a model that was trained again
    since, and a popularity beside an index; ArtifactError if an artifact is missing.
    """
    if index is not None:
        return _through(workspace, workspace.find("index", index, of="answers"), settings, popularity)
    source = workspace.find("model", model)
    settings.require_index(source.name)
    return Recommender(source, (source,), with_popularity(source, load_model(source, threads=threads), popularity))


def _through(workspace: Workspace, built: Artifact, settings: SearchSettings, popularity: float | None) -> Recommender:
    from embedrec.index.search_parameters import check_settings
    from embedrec.index.serialization import load_index

    if popularity is not None:
        raise SettingsError(
            f"--popularity cannot change the existing index {built.name}; leave it out, or rebuild the index with it"
        )
    source = indexed_model(workspace, built)
    index, model = load_index(built), load_vector_model(source)
    check_settings(settings, index.faiss, index.spec)
    if "popularity" in built.about:
        model = model.scale_norms(built.about["popularity"])
    searched = replace(index, settings=settings.over(index.settings))
    return Recommender(source, (built, source), model.using(searched))


def recommend_items(
    workspace: Workspace,
    recommender: Recommender,
    items: Sequence[str],
    count: int | None = None,
    allowed: ItemFilter | None = None,
    *,
    exclude_seen: bool = True,
    explain: bool = False,
) -> Recommendations:
    """The next items after a history.

    items         the history, oldest first: ids, ids without their URI prefix, or names
    count         items; None for 10
    allowed       items that may be recommended; None for all
    exclude_seen  items of the history are not recommended
    explain       also the nearest past sessions that contain each item, of a session-kNN model; of a composite
                  model the parts that proposed it and the features that moved it, and sessions of a session-kNN part

    Raises UnknownItemError for an item that is unknown or ambiguous, SettingsError if no item is allowed, or if the
    model cannot explain its recommendations.
    """
    vocab = recommender.model.vocab
    attributes = None if allowed is None else allowed.attributes
    features = item_features(workspace, lambda: recommender.source, vocab, attributes, recommender.index)
    rows = find_items(vocab, items, distinguishing_features(features, vocab))
    history = Sessions(np.array([0, len(rows)]), rows, vocab, np.array([0]))
    return recommend_next(workspace, recommender, history, count, allowed, exclude_seen=exclude_seen, explain=explain)


def recommend_next(
    workspace: Workspace,
    recommender: Recommender,
    history: Sessions,
    count: int | None = None,
    allowed: ItemFilter | None = None,
    *,
    exclude_seen: bool = True,
    explain: bool = False,
) -> Recommendations:
    """The next items after one history, a session in the vocabulary of the model; see `recommend_items`."""
    source, model = recommender.source, recommender.model
    vocab = model.vocab
    attributes = None if allowed is None else allowed.attributes
    features = item_features(workspace, lambda: source, vocab, attributes, recommender.index)
    mask, messages = filter_items(allowed, vocab, features)
    k = recommendation_count(vocab, count)
    results = recommend_filtered(model, history, k, exclude_seen=exclude_seen, allowed=mask)
    (best,) = recommended_lists(results)
    if not explain:
        return Recommendations(best, messages)
    rows = results.rows[0][: len(best)]
    sessions = training_sessions(workspace, source)
    neighbours: Any = model
    if isinstance(model, CompositeModel):
        reasons = explain_composite(model, history, rows)
        best = [replace(item, parts=why.parts, features=why.features) for item, why in zip(best, reasons, strict=True)]
        neighbours = session_knn_part(model)
    if neighbours is None:
        return Recommendations(best, messages)
    past = explain_recommendations(source, neighbours, Sessions.load(sessions), history, rows)
    best = [replace(item, sessions=nearest) for item, nearest in zip(best, past, strict=True)]
    return Recommendations(best, messages, sessions)


def recommendation_count(vocab: Vocab, count: int | None) -> int:
    """The number of items to recommend; see `recommend_items`."""
    return min(count or _DEFAULT_COUNT, len(vocab))


def recommended_lists(results: TopK) -> list[list[RecommendedItem]]:
    """The items of each row of results (q, k), best first."""
    ids, names = results.vocab.ids, results.vocab.names
    lists = []
    for rows, scores in zip(results.rows, results.scores, strict=True):
        valid = rows[rows >= 0]
        labels = [""] * len(valid) if names is None else names[valid].tolist()
        ranked = zip(ids[valid].tolist(), scores.tolist(), labels, strict=False)
        lists.append(
            [RecommendedItem(rank, item, round(score, 4), name) for rank, (item, score, name) in enumerate(ranked, 1)]
        )
    return lists
