"""Past sessions near a history."""

from __future__ import annotations

import pytest

from embedrec.errors import UnknownItemError
from embedrec.storage.workspace import Workspace
from embedrec.workflows.neighbours import nearest_sessions, open_session_neighbours, session_sources


def test_neighbours_of_a_history_are_nearest_first(plays: Workspace) -> None:
    source = open_session_neighbours(plays, "sknn", None)
    assert [a.name for a in source.used] == ["sknn", "plays"]
    nearest, *others = nearest_sessions(source, ["a", "b"], None, 3)
    assert (nearest.rank, nearest.items, nearest.shared, nearest.score) == (1, ["a", "b"], 2, 1.0)
    assert [n.rank for n in others] == [2, 3] and all(n.shared == 2 for n in others)
    assert (nearest.time, nearest.names) == ("", ["a", "b"])


def test_a_session_is_not_its_own_neighbour(plays: Workspace) -> None:
    source = open_session_neighbours(plays, "sknn", None)
    session = source.sessions.ids.tolist()[3]  # "ab"
    neighbours = nearest_sessions(source, [], str(session), 5)
    assert session not in [n.session for n in neighbours]
    assert {"".join(n.items) for n in neighbours[:2]} == {"abc", "abd"}
    with pytest.raises(UnknownItemError, match="no training session has the id 'nine'; check it"):
        nearest_sessions(source, [], "nine", 5)


def test_sources_are_indexes_of_sessions_or_models(plays: Workspace) -> None:
    assert sorted(a.name for a in session_sources(plays)) == ["cooccurrence", "sknn", "vectors"]
