"""What an export writes: lists of items, sessions and recommendations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedrec.errors import DataError, SettingsError
from embedrec.models.session_knn.model import SessionKnnModel
from embedrec.storage.workspace import Workspace
from embedrec.workflows.export import ExportSource, open_export_source


def test_lists_of_items_are_exported(plays: Workspace) -> None:
    opened = open_export_source(plays, ExportSource(index="flat"))
    assert [a.name for a in opened.used] == ["flat"]
    best = opened.lists.best(np.array([0]), 2)
    assert opened.lists.vocab.ids[best.rows[0]].tolist() == ["b", "c"]
    assert opened.vectors().vocab.ids.tolist() == list("abcd")
    assert (opened.about["of"], opened.about["sources"][0]["name"]) == ("items", "flat")


def test_lists_of_sessions_are_exported(plays: Workspace) -> None:
    opened = open_export_source(plays, ExportSource("sessions", model="sknn"))
    best = opened.lists.best(np.arange(6), 2)
    assert (best.rows != np.arange(6)[:, None]).all()  # no session is its own neighbour
    with pytest.raises(SettingsError) as error:
        opened.vectors()
    assert str(error.value) == "model sknn has no vectors; export its lists, or name another model"


def test_recommendations_for_histories_are_exported(plays: Workspace, tmp_path: Path) -> None:
    histories = tmp_path / "histories.csv"
    histories.write_text("session,item\nh1,a\nh1,b\nh2,unknown\n")
    opened = open_export_source(plays, ExportSource("recommendations", model="sknn", histories=histories))
    best = opened.lists.best(np.array([0]), 3)
    assert not {"a", "b"} & set(opened.lists.vocab.ids[best.rows[best.rows >= 0]].tolist())
    assert opened.messages == [
        "1 of 3 events of the histories have items unknown to the model; 1 of 2 histories contain no known item"
    ]


def test_lists_are_computed_with_threads(plays: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "h.csv").write_text("session,item\nh1,a\n")
    given: list[int] = []
    monkeypatch.setattr(SessionKnnModel, "with_threads", lambda self, threads: given.append(threads) or self)
    open_export_source(plays, ExportSource("recommendations", model="sknn", histories=tmp_path / "h.csv", threads=3))
    assert given == [3]


def test_invalid_requests_are_refused(plays: Workspace, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="recommendations need a table of histories"):
        open_export_source(plays, ExportSource("recommendations", model="sknn"))
    (tmp_path / "h.csv").write_text("session,item\nh,z\n")
    with pytest.raises(DataError, match="contains no item that model sknn knows"):
        open_export_source(plays, ExportSource("recommendations", model="sknn", histories=tmp_path / "h.csv"))


def test_sources_are_listed_unless_one_is_named(plays: Workspace) -> None:
    assert [a.name for a in ExportSource().candidates(plays)] == ["cooccurrence", "flat"]
    assert ExportSource(index="flat").candidates(plays) == []
