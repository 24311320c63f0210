"""The metric of a refresh is that of a model that has not seen the newest sessions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedrec.data.session_changes import session_changes
from embedrec.data.sessions import Sessions
from embedrec.storage.workspace import Workspace
from embedrec.workflows.refresh import measure
from embedrec.workflows.refresh.append import append_files
from embedrec.workflows.refresh.measure import Measuring
from embedrec.workflows.refresh.settings import RefreshSettings
from embedrec.workflows.refresh.steps import Computing, KnownChanges, renew_model
from embedrec.workflows.refresh.validation import newest_window


def test_a_model_is_measured_on_sessions_it_has_not_seen(shop: Workspace, night: Path, tmp_path: Path) -> None:
    appended = append_files(shop.find("sessions", "clicks"), [night], tmp_path / "staged" / "sessions" / "clicks")
    source = shop.find("sessions", "clicks")
    known = KnownChanges(source, session_changes(Sessions.load(source), Sessions.load(appended)))
    window = newest_window(known.changes)
    assert window is not None
    model = shop.find("model", "word2vec")
    renewed = renew_model(shop, model, appended, tmp_path / "staged" / "models" / "word2vec", Computing())
    drift = Measuring(shop, known, window, RefreshSettings(), Computing()).of_model(model, renewed)
    assert drift.metric is not None and drift.metric_name == "recall@20" and drift.metric_gap is not None
    without = Measuring(shop, known, None, RefreshSettings(), Computing()).of_model(model, renewed)
    assert without.metric is None and without.overlap == drift.overlap
    index = shop.find("index", "word2vec-ivf")
    assert Measuring(shop, known, window, RefreshSettings(), Computing()).of_index(index, index).overlap == 1


def test_a_frozen_model_is_measured_with_frozen_vectors(
    shop: Workspace, night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = tmp_path / "staged"
    source = shop.find("sessions", "clicks")
    appended = append_files(source, [night], staged / "sessions" / "clicks")
    known = KnownChanges(source, session_changes(Sessions.load(source), Sessions.load(appended)))
    model = shop.find("model", "word2vec")
    frozen = renew_model(shop, model, appended, staged / "models" / "word2vec", Computing(), space="frozen")

    def fails(*_: object, **__: object) -> None:
        raise AssertionError("the model is trained further")

    monkeypatch.setattr(measure, "fit_recipe", fails)
    window = newest_window(known.changes)
    drift = Measuring(shop, known, window, RefreshSettings(frozen=True), Computing()).of_model(model, frozen)
    assert drift.metric is not None and np.allclose(drift.cosines, 1.0)
