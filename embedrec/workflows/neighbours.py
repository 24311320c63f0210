"""The nearest past sessions to a history: by a session-kNN model, by a model's session vectors, or through an index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from embedrec.config import build
from embedrec.data.find_items import find_items
from embedrec.data.item_text import apart
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import in_kind
from embedrec.errors import UnknownItemError, did_you_mean
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.models.serialization import load_model
from embedrec.models.session_encoders import Weights
from embedrec.models.session_knn.model import SessionKnnModel
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.workflows.lineage import built_of, trained_on, vector_model

Finder = Callable[[Sessions, int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class SessionNeighbourSource:
    """The sessions a model was trained on, and how the nearest of them are found.

    used      the artifacts it takes, for notes
    sessions  the training sessions
    find      histories (q sessions), k → numbers of sessions (q, k) int64 and scores (q, k), −1 and −inf for missing
    """

    used: tuple[Artifact, ...]
    sessions: Sessions
    find: Finder

    def history(self, items: Sequence[str], session: str | None) -> Sessions:
        """One history: these items, oldest first, or a past session by its id.

        Raises UnknownItemError, with near misses, for what is not there.
        """
        past = self.sessions
        if session is None:
            features = past.item_features
            known = None if features is None else partial(apart, features, past.vocab)
            rows = find_items(past.vocab, items, known)
            return Sessions(np.array([0, len(rows)]), rows, past.vocab, np.array([0]))
        row = _row(past.ids, session)
        at = np.zeros(0, dtype=np.int64) if row < 0 else np.array([row])
        if not len(at):
            near = did_you_mean(session, map(str, past.ids.tolist()))
            raise UnknownItemError(f"no training session is called {session!r}{near or '; check its id'}")
        return past.take(at[:1])


def _row(ids: np.ndarray, session: str) -> int:
    """The row of a session, as `Vocab.rows_of` finds it; −1 for none. Ids of sessions may stand twice."""
    for wanted in (session, in_kind(session, integer=ids.dtype == np.int64)):
        if isinstance(wanted, int) == (ids.dtype == np.int64):
            at = np.flatnonzero(ids == wanted)
            if len(at):
                return int(at[0])
    return -1


def open_past(
    workspace: Workspace, model: str | None, index: str | None, settings: SearchSettings = AS_BUILT
) -> SessionNeighbourSource:
    """The past of a model: exact, or through an index of its sessions.

    model, index  names; with neither, the latest index of sessions, or where there is none the latest model
    settings      of searches of an index, over those it was built with

    Raises SettingsError for a model that has no nearest sessions, ArtifactError for what is missing.
    """
    if index is None and model is None:
        index = next((a.name for a in reversed(session_sources(workspace)) if a.kind == "index"), None)
    if index is not None:
        return _through(workspace, workspace.find("index", index, of="sessions"), settings)
    source = workspace.find("model", model)
    settings.need_index(source.name)
    trained = trained_on(workspace, source)
    asked, sessions = load_model(source), Sessions.load(trained)
    if isinstance(asked, SessionKnnModel):
        return SessionNeighbourSource((source, trained), sessions, asked.neighbours)
    vectors = vector_model(source)
    encoded = vectors.encode(sessions)

    def find(histories: Sessions, k: int) -> tuple[np.ndarray, np.ndarray]:
        found = encoded.search(vectors.encode(histories).vectors, k)
        return found.rows, found.scores

    return SessionNeighbourSource((source, trained), sessions, find)


def session_sources(workspace: Workspace) -> list[Artifact]:
    """What `open_past` chooses from without names: indexes of sessions, or where there are none, models."""
    indexes = [a for a in workspace.artifacts("index") if a.about.get("of") == "sessions"]
    return indexes or workspace.artifacts("model")


def _through(workspace: Workspace, built: Artifact, settings: SearchSettings) -> SessionNeighbourSource:
    from embedrec.index.serialization import load_index

    source = built_of(workspace, built)
    model, index = vector_model(source), load_index(built)
    if "weights" in built.about:
        model = model.weighted(build(Weights, built.about["weights"], given=str(built.folder)))
    trained = trained_on(workspace, source)

    def find(histories: Sessions, k: int) -> tuple[np.ndarray, np.ndarray]:
        found = index.search(model.encode(histories).vectors, k, settings)
        return found.rows, found.scores

    return SessionNeighbourSource((built, source, trained), Sessions.load(trained), find)
