"""Past sessions that explain a recommendation or a similar item."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.models.serialization import load_model
from embedrec.storage.workspace import Workspace
from embedrec.workflows.explain import explain_recommendations, sessions_with_both


def test_similar_items_are_explained_by_sessions_with_both(plays: Workspace) -> None:
    """The smallest first, with the cosine between the pair and the session; ties to the later session."""
    sessions = Sessions.load(plays.find("sessions"))
    ids = sessions.ids.tolist()
    both, none = sessions_with_both(sessions, "a", ["b", "e"])
    assert [session for session, _ in both] == [ids[3], ids[1], ids[0]]  # "ab", "abd", "abc"
    assert [score for _, score in both] == pytest.approx([1.0, np.sqrt(2 / 3), np.sqrt(2 / 3)])
    assert none == [] and sessions_with_both(sessions, "unknown", ["a"]) == [[]]


def test_recommendations_are_explained_by_the_nearest_sessions(plays: Workspace) -> None:
    source = plays.find("model", "sknn")
    model, sessions = load_model(source), Sessions.load(plays.find("sessions"))
    vocab = model.vocab
    history = Sessions(np.array([0, 2]), vocab.rows(["a", "b"]).astype(np.int32), vocab, np.array([0]))
    c, e = explain_recommendations(source, model, sessions, history, vocab.rows(["c", "e"]))
    names = {session: "".join(vocab.ids[sessions.reindex(vocab)[n]]) for n, session in enumerate(sessions.ids.tolist())}
    assert {names[session] for session, _ in c} >= {"abc"} and all("c" in names[session] for session, _ in c)
    assert all("e" in names[session] for session, _ in e)
    scores = [score for _, score in c]
    assert scores == sorted(scores, reverse=True)


def test_other_models_cannot_explain(plays: Workspace) -> None:
    source = plays.find("model", "cooccurrence")
    sessions = Sessions.load(plays.find("sessions"))
    with pytest.raises(SettingsError) as error:
        explain_recommendations(source, load_model(source), sessions, sessions, np.array([0]))
    assert str(error.value) == "--why needs a session-kNN model; cooccurrence is a model of cooccurrence"
