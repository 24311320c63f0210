"""The nearest past sessions of a history: from a session-kNN model, from session vectors, or through an index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np

from embedrec.config import build
from embedrec.data.find_items import find_items
from embedrec.data.item_text import feature_differences
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import convert_id
from embedrec.errors import UnknownItemError, did_you_mean
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.models.serialization import load_model, load_vector_model
from embedrec.models.session_encoders import Weights
from embedrec.models.session_knn.model import SessionKnnModel
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.workflows.lineage import indexed_model, training_sessions

Search = Callable[[Sessions, int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class SessionNeighbourSource:
    """The sessions a model was trained on, and a search for the nearest of them.

    used      the artifacts it loads, for notes
    sessions  the training sessions
    find      histories (q sessions), k → numbers of sessions (q, k) int64 and scores (q, k), −1 and −inf for missing
    """

    used: tuple[Artifact, ...]
    sessions: Sessions
    find: Search

    def history(self, items: Sequence[str], session: str | None) -> Sessions:
        """One history: these items, oldest first, or a past session by its id.

        Raises UnknownItemError, with near misses, if there is no such item or session.
        """
        past = self.sessions
        if session is None:
            features = past.item_features
            rows = find_items(
                past.vocab, items, None if features is None else partial(feature_differences, features, past.vocab)
            )
            return Sessions(np.array([0, len(rows)]), rows, past.vocab, np.array([0]))
        row = session_row(past.ids, session)
        if row < 0:
            near = did_you_mean(session, map(str, past.ids.tolist()))
            raise UnknownItemError(f"no training session has the id {session!r}{near or '; check it'}")
        return past.take(np.array([row], dtype=np.int64))


@dataclass(frozen=True)
class NeighbourSession:
    """A past session near a history.

    rank    1 for the nearest
    time    of its last event, ISO 8601 in UTC; "" if sessions have no times
    shared  how many items of the history it contains
    items   its item ids
    names   their names, or ids
    """

    rank: int
    session: Any
    score: float
    time: str
    shared: int
    items: list[Any]
    names: list[str]

    @property
    def id(self) -> Any:
        """The id of the session."""
        return self.session


def nearest_sessions(
    source: SessionNeighbourSource, items: Sequence[str], session: str | None, count: int
) -> list[NeighbourSession]:
    """The `count` past sessions nearest to a history, see `SessionNeighbourSource.history`; a past session is not its
    own neighbour."""
    history, sessions = source.history(items, session), source.sessions
    numbers, scores = source.find(history, min(count + (session is not None), len(sessions)))
    itself = -1 if session is None else int(np.flatnonzero(sessions.ids == history.ids[0])[0])
    valid = (numbers[0] >= 0) & (numbers[0] != itself)
    vocab = sessions.vocab
    queried = set(history.reindex(vocab).items.tolist())
    neighbours = []
    ranked = zip(numbers[0][valid][:count].tolist(), scores[0][valid][:count].tolist(), strict=True)
    for rank, (number, score) in enumerate(ranked, 1):
        rows = sessions[number].tolist()
        neighbours.append(
            NeighbourSession(
                rank,
                sessions.ids[number : number + 1].tolist()[0],
                round(score, 4),
                last_time(sessions, number),
                len(queried & set(rows)),
                [vocab.id(row) for row in rows],
                [vocab.name(row) or str(vocab.id(row)) for row in rows],
            )
        )
    return neighbours


def last_time(sessions: Sessions, number: int) -> str:
    """The time of the last event of a session, ISO 8601 in UTC; "" if sessions have no times."""
    if sessions.times is None:
        return ""
    milliseconds = int(sessions.times[sessions.offsets[number + 1] - 1])
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def session_row(ids: np.ndarray, session: str) -> int:
    """The row of a session, as `Vocab.rows_of` finds it; −1 for none. Session ids may repeat."""
    integer = ids.dtype == np.int64
    for candidate in (session, convert_id(session, integer=integer)):
        if isinstance(candidate, int) == integer:
            rows = np.flatnonzero(ids == candidate)
            if len(rows):
                return int(rows[0])
    return -1


def open_session_neighbours(
    workspace: Workspace, model: str | None, index: str | None, settings: SearchSettings = AS_BUILT
) -> SessionNeighbourSource:
    """The past sessions of a model: searched exactly, or through an index of their vectors.

    model, index  names; with neither, the latest index of sessions, or the latest model if there is none
    settings      search settings of an index; they override those it was built with

    Raises SettingsError for a model without session neighbours, ArtifactError if an artifact is missing.
    """
    if index is None and model is None:
        index = next((a.name for a in reversed(session_sources(workspace)) if a.kind == "index"), None)
    if index is not None:
        return _through(workspace, workspace.find("index", index, of="sessions"), settings)
    source = workspace.find("model", model)
    settings.require_index(source.name)
    past = training_sessions(workspace, source)
    loaded, sessions = load_model(source), Sessions.load(past)
    if isinstance(loaded, SessionKnnModel):
        return SessionNeighbourSource((source, past), sessions, loaded.neighbours)
    encoder = load_vector_model(source)
    encoded = encoder.encode(sessions)

    def search(histories: Sessions, k: int) -> tuple[np.ndarray, np.ndarray]:
        results = encoded.search(encoder.encode(histories).vectors, k)
        return results.rows, results.scores

    return SessionNeighbourSource((source, past), sessions, search)


def session_sources(workspace: Workspace) -> list[Artifact]:
    """What `open_session_neighbours` chooses from: indexes of sessions, or models if there are none."""
    indexes = [a for a in workspace.artifacts("index") if a.about.get("of") == "sessions"]
    return indexes or workspace.artifacts("model")


def _through(workspace: Workspace, built: Artifact, settings: SearchSettings) -> SessionNeighbourSource:
    from embedrec.index.serialization import load_index

    source = indexed_model(workspace, built)
    model, index = load_vector_model(source), load_index(built)
    if "weights" in built.about:
        model = model.with_weights(build(Weights, built.about["weights"], source=str(built.folder)))
    past = training_sessions(workspace, source)

    def search(histories: Sessions, k: int) -> tuple[np.ndarray, np.ndarray]:
        results = index.search(model.encode(histories).vectors, k, settings)
        return results.rows, results.scores

    return SessionNeighbourSource((built, source, past), Sessions.load(past), search)
