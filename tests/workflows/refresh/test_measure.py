"""The metric of a refresh is that of a model that has not seen the newest sessions."""

from __future__ import annotations

from pathlib import Path

from embedrec.data.session_changes import session_changes
from embedrec.data.sessions import Sessions
from embedrec.storage.workspace import Workspace
from embedrec.workflows.refresh.append import append_files
from embedrec.workflows.refresh.measure import Measuring
from embedrec.workflows.refresh.settings import RefreshSettings
from embedrec.workflows.refresh.steps import Computing, renew_model
from embedrec.workflows.refresh.validation import newest_window


def test_a_model_is_measured_on_sessions_it_has_not_seen(shop: Workspace, night: Path, tmp_path: Path) -> None:
    appended = append_files(shop.find("sessions", "clicks"), [night], tmp_path / "staged" / "sessions" / "clicks")
    old, new = Sessions.load(shop.find("sessions", "clicks")), Sessions.load(appended)
    window = newest_window(session_changes(old, new))
    assert window is not None
    model = shop.find("model", "word2vec")
    renewed = renew_model(shop, model, appended, tmp_path / "staged" / "models" / "word2vec", Computing())
    drift = Measuring(shop, new, window, RefreshSettings(), Computing()).of_model(model, renewed)
    assert drift.metric is not None and drift.metric_name == "recall@20" and drift.metric_gap is not None
    without = Measuring(shop, new, None, RefreshSettings(), Computing()).of_model(model, renewed)
    assert without.metric is None and without.overlap == drift.overlap
    index = shop.find("index", "word2vec-ivf")
    assert Measuring(shop, new, window, RefreshSettings(), Computing()).of_index(index, index).overlap == 1
