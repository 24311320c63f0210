"""The content of a report: items, neighbours, map and measurements."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data.features import Categories, Features
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import ArtifactError, SettingsError, UnknownItemError
from embedrec.html_report.content import _SHARES, ItemNames, ReportSettings, _groups, collect_report
from embedrec.models.serialization import load_model
from embedrec.models.vector_model import VectorModel
from embedrec.storage.workspace import Workspace
from embedrec.workflows.train import import_vectors
from tests.conftest import of_lists
from tests.html_report.pages import HTML_TEXTS, full_content


def test_the_map_uses_the_seed(report_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def on_a_plane(embeddings: Any, rows: np.ndarray, way: str, *, seed: int) -> tuple[np.ndarray, str]:
        calls.append((way, seed))
        return np.zeros((len(rows), 2)), "zeros"

    monkeypatch.setattr("embedrec.html_report.content.project_to_plane", on_a_plane)
    result = collect_report(report_workspace, "part", ("word2vec",), (), ReportSettings(method="umap", seed=7))
    assert calls == [("umap", 7)] and result.map is not None and result.map["method"] == "zeros"


def test_neighbours_are_those_of_the_models(report_workspace: Workspace) -> None:
    from embedrec.workflows.similar import open_item_neighbours

    item = f"{HTML_TEXTS[0]}0"
    results = full_content(report_workspace, items=[item]).near
    assert results is not None and results["models"] == ["word2vec", "cooccurrence"]
    (result,) = results["items"]
    assert result["id"] == item
    for name, pairs in zip(results["models"], result["lists"], strict=True):
        source = open_item_neighbours(report_workspace.find("model", name))
        expected = source.neighbours(source.vocab.rows([item]), 10)
        rows = [r for r in expected.rows[0].tolist() if r >= 0]
        # every name of these items occurs twice, so that its id follows
        assert [pair[0] for pair in pairs] == [f"{source.vocab.name(row)} ({source.vocab.id(row)})" for row in rows]


def test_the_map_shows_popular_items_coloured_by_labels(report_workspace: Workspace) -> None:
    subject = full_content(report_workspace)
    assert subject.map is not None
    mentions = [item[2] for item in subject.map["items"]]
    assert mentions == sorted(mentions, reverse=True)
    assert (subject.map["by"], subject.map["method"], len(subject.map["groups"])) == (
        "<i>tags",
        "principal components",
        8,
    )
    assert subject.map["groups"][-1] == "other"
    for _, name, _, x, y, group in subject.map["items"]:
        assert name.startswith(subject.map["groups"][group]) or subject.map["groups"][group] == "other"
        assert -1 <= x <= 1 and -1 <= y <= 1


def test_the_map_contains_the_neighbours_of_every_item(
    report_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neighbours on the map are indices of its items, followed by names of items outside it."""
    monkeypatch.setattr("embedrec.html_report.content._MAP_ITEMS", 5)
    item_map = full_content(report_workspace).map
    assert item_map is not None and len(item_map["items"]) == len(item_map["near"]) == 5
    shown = [item[1] for item in item_map["items"]] + item_map["names"]
    assert len(set(shown)) == len(shown)
    model = load_model(report_workspace.find("model", "word2vec"))
    assert isinstance(model, VectorModel)
    for (item, *_), pairs in zip(item_map["items"], item_map["near"], strict=True):
        expected = model.neighbours(model.vocab.rows([item]), 8)
        names = [f"{model.vocab.name(row)} ({model.vocab.id(row)})" for row in expected.rows[0].tolist()]
        assert [shown[number] for number, _ in pairs] == names
        assert [score for _, score in pairs] == pytest.approx(expected.scores[0].tolist(), abs=1e-3)


def test_the_map_of_a_single_item_has_no_neighbours(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    of_lists([["a", "a"], ["a"]]).save(workspace.folder("sessions", "one"), {})
    vectors = tmp_path / "one.txt"
    vectors.write_text("1 2\na 1 0\n")
    import_vectors(vectors, workspace.folder("model", "v"))
    item_map = collect_report(workspace, "one", ("v",), ()).map
    assert item_map is not None and (item_map["near"], item_map["names"]) == ([[]], [])


def test_repeated_titles_are_followed_by_their_artist() -> None:
    vocab = Vocab(["t1", "t2", "t3", "t4"], names=np.array(["Intro", "Hits", "Intro", ""], dtype=object))
    artists = Categories(np.array([0, 1, 2, 2]), np.array(["The xx", "Queen", "M83"], dtype=object))
    names = ItemNames(vocab, Features(vocab, categorical={"artist": artists}))
    assert [names(row) for row in range(4)] == ["Intro (artist=The xx)", "Hits", "Intro (artist=M83)", "t4"]
    assert [ItemNames(vocab, None)(row) for row in range(4)] == ["Intro (t1)", "Hits", "Intro (t3)", "t4"]
    alike = Categories(np.array([0, 1, 0, 2]), artists.names)
    assert ItemNames(vocab, Features(vocab, categorical={"artist": alike}))(2) == "Intro (t3)"
    other = Vocab(["t3", "new"], names=np.array(["Intro", "Other"], dtype=object))
    assert names.of(other, np.array([1, 0])) == ["Other", "Intro (artist=M83)"]


def test_popularity_is_an_ordered_scale(report_workspace: Workspace) -> None:
    labelled = full_content(report_workspace).map
    assert labelled is not None and not labelled["ordered"]
    sessions = Sessions.load(report_workspace.find("sessions", "part"))
    plain = replace(sessions, item_features=None)
    column, groups, group = _groups(plain, np.bincount(plain.items), np.arange(len(plain.vocab)), None)
    assert column == "popularity" and groups == [name for _, name in _SHARES] and group.max() < len(groups)


def test_colours_are_labels_of_a_file(report_workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"item": f"{HTML_TEXTS[0]}0", "labels": ["one", "two"]}, {"item": f"{HTML_TEXTS[1]}1", "labels": ["two"]}]
    (tmp_path / "genres.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = full_content(report_workspace, label=str(tmp_path / "genres.jsonl")).map
    assert result is not None
    group_of = {item[0]: result["groups"][item[5]] for item in result["items"]}
    assert result["groups"] == ["two", "one", "other"] and result["by"] == "genres"
    assert (group_of[f"{HTML_TEXTS[0]}0"], group_of[f"{HTML_TEXTS[1]}1"], group_of[f"{HTML_TEXTS[2]}2"]) == (
        "one",
        "two",
        "other",
    )
    with pytest.raises(SettingsError, match=r"'tags' is neither a file nor a list .*; did you mean '<i>tags'"):
        full_content(report_workspace, label="tags")
    with pytest.raises(SettingsError, match="none of the models has vectors"):
        collect_report(report_workspace, "part", ("popular",), (), ReportSettings(label="<i>tags"))
    with pytest.raises(UnknownItemError):
        full_content(report_workspace, items=["nothing like it"])


def test_content_describes_sessions_models_and_indexes(report_workspace: Workspace) -> None:
    content = full_content(report_workspace)
    assert (content.sessions["name"], content.sessions["source"]) == ("part", None)
    assert content.sessions["sessions"] == 48
    assert [model["name"] for model in content.models] == ["popular", "word2vec", "cooccurrence"]
    assert content.models[1]["settings"]["dim"] == 4 and len(content.models[1]["epochs"]) == 3
    (index,) = content.indexes
    assert (index["name"], index["spec"], index["metric"]) == ("flat", "Flat", "dot")
    assert "curve" not in index


def test_popularity_curves_are_monotonic(report_workspace: Workspace) -> None:
    """Ranks and counts of items from the most popular; shares of items and events from 0 to 1."""
    content = full_content(report_workspace)
    ranks, counts = zip(*content.ranks, strict=True)
    assert ranks[0] == 1 and list(ranks) == sorted(set(ranks)) and list(counts) == sorted(counts, reverse=True)
    assert sum(counts) <= content.sessions["events"]
    shares, cumulated = zip(*content.share, strict=True)
    assert (shares[0], cumulated[0]) == (0, 0) and shares[-1] == cumulated[-1] == pytest.approx(1)
    assert list(cumulated) == sorted(cumulated)
    assert all(events >= items - 1e-9 for items, events in content.share)


def test_example_items_are_popular_ones_by_default(report_workspace: Workspace) -> None:
    near = full_content(report_workspace).near
    assert near is not None
    mentions = [item["mentions"] for item in near["items"]]
    assert 1 < len(mentions) <= 16 and mentions == sorted(mentions, reverse=True)
    assert all(len(item["lists"]) == 2 for item in near["items"])


def test_progress_is_reported_per_model(report_workspace: Workspace) -> None:
    events: list[tuple[str, Any]] = []
    full_content(report_workspace, report=lambda event, **numbers: events.append((event, numbers)))
    assert events == [("progress", {"done": done, "total": 3, "unit": "models"}) for done in (1, 2, 3)]


def test_a_report_without_models_has_no_map(report_workspace: Workspace) -> None:
    content = collect_report(report_workspace, "all", (), ())
    assert (content.map, content.near, content.models, content.indexes, content.tables) == (None, None, [], [], [])


def test_missing_artifacts_suggest_near_misses(report_workspace: Workspace) -> None:
    for names in (("prt", (), ()), ("part", ("ppular",), ()), ("part", (), ("flt",))):
        with pytest.raises(ArtifactError, match="did you mean"):
            collect_report(report_workspace, *names)
