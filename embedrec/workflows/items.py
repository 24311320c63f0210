"""Search the items of an artifact by parts of their ids and names, also with typos."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from embedrec.data.features import Features
from embedrec.data.item_text import known_features
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import EmbedrecError, UnknownItemError
from embedrec.models.serialization import load_model
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.text.near_misses import close_matches
from embedrec.workflows.lineage import model_of, training_sessions

_SPELLINGS = 5  # words of names that a mistyped word may mean


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Items with their counts and features.

    counts    (n,) events in the data; None if unknown
    features  None if there are none
    """

    vocab: Vocab
    counts: np.ndarray | None = None
    features: Features | None = None

    @cached_property
    def folded_ids(self) -> list[str]:
        """The ids as `folded` texts."""
        return list(map(folded, map(str, self.vocab.ids.tolist())))

    @cached_property
    def folded_names(self) -> list[str]:
        """The names as `folded` texts, "" for missing ones."""
        names = self.vocab.names
        return [""] * len(self.vocab) if names is None else list(map(folded, names.tolist()))

    def known(self, rows: np.ndarray) -> list[dict[str, Any]]:
        """The features of items by their rows (m,), those without a value left out."""
        return [{}] * len(rows) if self.features is None else known_features(self.features, self.vocab, rows)


@dataclass(frozen=True)
class CatalogueItem:
    """An item of a catalogue.

    count     events in the data; None if unknown
    features  by name; empty if there are none
    """

    item: Any
    name: str
    count: int | None
    features: dict[str, Any]


@dataclass(frozen=True, eq=False)
class ItemMatches:
    """Rows (m,) of items, best first; `nearly` if none contains the text, so that these have similar words."""

    rows: np.ndarray
    nearly: bool


def find_catalogue_source(
    workspace: Workspace, sessions: str | None = None, model: str | None = None, index: str | None = None
) -> Artifact:
    """The artifact whose items are searched.

    sessions, model, index  the name of at most one; without any, the latest sessions, or the latest model if there are
                            no sessions

    Raises ArtifactError if there is none.
    """
    if model is not None:
        return workspace.find("model", model)
    if index is not None:
        return workspace.find("index", index)
    if sessions is None and not workspace.folders("sessions") and workspace.folders("model"):
        return workspace.find("model")
    return workspace.find("sessions", sessions)


def open_catalogue(workspace: Workspace, source: Artifact) -> Catalogue:
    """The items of sessions, of a model or of an index of items."""
    if source.kind == "sessions":
        sessions = Sessions.load(source)
        return Catalogue(sessions.vocab, _counts(sessions, sessions.vocab), sessions.item_features)
    if source.kind == "index":
        from embedrec.index.serialization import load_index, load_item_features

        vocab, origin = load_index(source).vocab, _model_of(workspace, source)
        features = load_item_features(source)
        if features is not None and origin is None:
            return Catalogue(vocab, vocab.counts, features)
    else:
        vocab, origin = load_model(source).vocab, source
    if origin is None:
        return Catalogue(vocab, vocab.counts)
    try:
        sessions = Sessions.load(training_sessions(workspace, origin))
    except EmbedrecError:  # the training sessions are missing or changed
        return Catalogue(vocab, vocab.counts)
    return Catalogue(vocab, _counts(sessions, vocab), sessions.item_features)


def search_catalogue(catalogue: Catalogue, text: str) -> ItemMatches:
    """The items whose id or name contains a text, ignoring case and accents; else those with similarly spelled words.

    Items whose id or name equals the text come first, then the most frequent. Raises UnknownItemError if none matches.
    """
    vocab, query = catalogue.vocab, folded(text)
    ids, names = catalogue.folded_ids, catalogue.folded_names
    rows = [r for r, (i, name) in enumerate(zip(ids, names, strict=True)) if query in i or query in name]
    nearly = not rows
    if nearly:
        rows = _with_similar_words(query, names if any(names) else ids)
    if nearly and not rows:
        near = close_matches(query, ids, n=_SPELLINGS, cutoff=0.7)
        rows = [ids.index(one) for one in near]
    if not rows:
        raise UnknownItemError(f"no item matches {text!r} among the {len(vocab):,}; try a part of its name")
    counts = np.zeros(len(vocab), dtype=np.int64) if catalogue.counts is None else catalogue.counts
    rows.sort(key=lambda r: (query not in (ids[r], names[r]), -counts[r], r))
    return ItemMatches(np.array(rows, dtype=np.int64), nearly)


def catalogue_items(catalogue: Catalogue, rows: np.ndarray) -> list[CatalogueItem]:
    """The items of some rows (m,) of a catalogue."""
    vocab, counts = catalogue.vocab, catalogue.counts
    return [
        CatalogueItem(vocab.id(row), vocab.name(row), None if counts is None else int(counts[row]), features)
        for row, features in zip(rows.tolist(), catalogue.known(rows), strict=True)
    ]


def folded(text: str) -> str:
    """A text in lower case without accents."""
    if text.isascii():
        return text.casefold()
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).casefold()


def _with_similar_words(text: str, names: Iterable[str]) -> list[int]:
    """Rows of the names that contain, for every word of the text, a similarly spelled word."""
    split = [name.split() for name in names]
    words = dict.fromkeys(word for name in split for word in name)
    similar = [set(close_matches(word, words, n=_SPELLINGS, cutoff=0.75)) for word in text.split()]
    if not similar or not all(similar):
        return []
    return [r for r, name in enumerate(split) if all(not spellings.isdisjoint(name) for spellings in similar)]


def _counts(sessions: Sessions, vocab: Vocab) -> np.ndarray:
    """The number of events of each item of a vocabulary."""
    counts = np.bincount(sessions.items, minlength=len(sessions.vocab))
    rows = sessions.vocab.rows_of(vocab.ids)
    return np.where(rows >= 0, counts[rows], 0) if len(counts) else np.zeros(len(vocab), dtype=np.int64)


def _model_of(workspace: Workspace, index: Artifact) -> Artifact | None:
    indexed = index.about.get("indexed")
    try:
        return model_of(workspace, index) if isinstance(indexed, dict) and "name" in indexed else None
    except EmbedrecError:  # an index works without its model
        return None
