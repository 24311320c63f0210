"""Similar items: the source that is chosen, and the rows of the result."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.data.item_filter import IdList, ItemFilter
from embedrec.errors import SettingsError, UnknownItemError
from embedrec.storage.workspace import Workspace
from embedrec.workflows.similar import find_item_source, item_sources, open_item_neighbours, similar_items


def test_the_source_is_the_latest_of_its_line(plays: Workspace) -> None:
    assert [a.name for a in item_sources(plays)] == ["cooccurrence", "flat"]
    assert find_item_source(plays).name == "flat"
    assert find_item_source(plays, model="cooccurrence").kind == "model"
    assert find_item_source(plays, index="flat").kind == "index"


def test_neighbours_of_an_index_are_those_of_its_model(plays: Workspace) -> None:
    expected = [("a", 1, "b", 0.8), ("a", 2, "c", 0.6), ("a", 3, "d", 0.0)]
    for source in (plays.find("index", "flat"), plays.find("model", "vectors")):
        results = similar_items(plays, open_item_neighbours(source), ["a"], 3)
        assert [(n.item, n.rank, n.similar, n.score) for n in results.neighbours] == expected
        assert (results.messages, results.explained_by) == ([], None)


def test_exact_neighbours_are_those_of_all_vectors(plays: Workspace) -> None:
    source = open_item_neighbours(plays.find("index", "flat"))
    exact = source.exact().neighbours(np.array([0, 3]), 2)
    assert exact.ids() == source.neighbours(np.array([0, 3]), 2).ids() == [["b", "c"], ["c", "b"]]
    allowed = np.array([True, False, True, True])
    assert source.exact().neighbours(np.array([0]), 2, allowed=allowed).ids() == [["c", "d"]]
    for name in ("vectors", "cooccurrence"):
        model = open_item_neighbours(plays.find("model", name))
        assert model.exact() is model


def test_a_count_beyond_the_catalogue_returns_all_other_items(plays: Workspace) -> None:
    results = similar_items(plays, open_item_neighbours(plays.find("index")), ["a", "b"], 9)
    assert len(results.neighbours) == 6
    assert results.messages == ["an item has 3 others in a catalogue of 4, fewer than 9"]


def test_a_filter_restricts_the_neighbours(plays: Workspace) -> None:
    allowed = ItemFilter((), IdList.read("ids", b"d\nb\n"), None, None)
    results = similar_items(plays, open_item_neighbours(plays.find("index")), ["a"], 2, allowed)
    assert [n.similar for n in results.neighbours] == ["b", "d"]
    assert results.messages == ["2 of 4 items are allowed"]


def test_explained_neighbours_name_sessions(plays: Workspace) -> None:
    source = open_item_neighbours(plays.find("model", "cooccurrence"))
    results = similar_items(plays, source, ["d"], 1, explain=True)
    assert results.explained_by is not None and results.explained_by.name == "plays"
    (best,) = results.neighbours
    assert best.sessions is not None and len(best.sessions) == 2
    with pytest.raises(SettingsError, match="imported from a file; its training sessions are unknown"):
        similar_items(plays, open_item_neighbours(plays.find("index")), ["a"], 1, explain=True)


def test_invalid_requests_are_refused(plays: Workspace) -> None:
    with pytest.raises(UnknownItemError, match="no item 'z'"):
        similar_items(plays, open_item_neighbours(plays.find("index")), ["z"])
    with pytest.raises(SettingsError, match="has no item neighbours; train word2vec or cooccurrence"):
        open_item_neighbours(plays.find("model", "sknn"))
    with pytest.raises(SettingsError, match="--popularity cannot change the existing index flat"):
        open_item_neighbours(plays.find("index"), popularity=0.5)
