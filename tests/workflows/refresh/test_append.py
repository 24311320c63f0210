"""The sessions of a refresh equal those of one `prepare` of all files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from embedrec.config import build
from embedrec.data.filters import Filters
from embedrec.data.sessions import Sessions
from embedrec.readers import BadRows, reader
from embedrec.storage.workspace import Workspace
from embedrec.tabular.read_settings import ReadSettings
from embedrec.workflows.prepare import prepare_sessions
from embedrec.workflows.refresh.append import append_files
from tests.workflows.refresh.nights import NIGHT


def test_the_result_equals_one_prepare_of_all_files(shop: Workspace, night: Path, tmp_path: Path) -> None:
    source = shop.find("sessions", "clicks")
    done = append_files(source, [night], tmp_path / "appended")
    read = build(reader("table"), {"session": "session", "item": "item", "time": "time"}, source="test")
    files = [*source.about["paths"], str(night)]
    whole = prepare_sessions("table", read, files, tmp_path / "whole", Filters(), ReadSettings(BadRows("fail")))
    one, other = Sessions.load(done), Sessions.load(whole)
    for name in ("offsets", "items", "ids", "times"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert one.vocab.ids.tolist() == other.vocab.ids.tolist()


def test_old_events_age_out(shop: Workspace, night: Path, tmp_path: Path) -> None:
    done = append_files(shop.find("sessions", "clicks"), [night], tmp_path / "appended", keep_days=1.0)
    assert NIGHT <= len(Sessions.load(done)) < 2 * NIGHT
