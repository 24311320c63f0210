"""The encoder of a model artifact as an ONNX file: queries for an index without torch and without the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from embedrec.errors import DataError, SettingsError
from embedrec.index.serialization import load_index
from embedrec.models.serialization import save_model
from embedrec.models.two_tower.recipe import TwoTower
from embedrec.storage import artifacts
from embedrec.storage.workspace import Workspace
from embedrec.workflows.export_encoder import export_encoder
from tests.conftest import of_lists
from tests.training.toy import clustered_sessions
from tests.workflows.toy_models import index_toy, many_sessions, train_toy


@pytest.fixture(params=["gru4rec", "two-tower"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    workspace = Workspace(tmp_path)
    many_sessions().save(workspace.folder("sessions", "all"), {})
    return workspace, train_toy(workspace, request.param), request.param


def test_an_index_answers_exported_queries(workspace: Any, tmp_path: Path) -> None:
    folder, model, name = workspace
    source, index = folder.find("model", name), load_index(index_toy(folder, name, "flat"))
    files = export_encoder(source, tmp_path / "encoder.onnx")
    assert (files.file, files.items, files.users) == (tmp_path / "encoder.onnx", tmp_path / "encoder.ids.txt", None)
    ids = files.items.read_text().splitlines()
    assert ids == model.vocab.ids.tolist()
    session = onnxruntime.InferenceSession(files.file)
    assert session.get_modelmeta().custom_metadata_map == {
        "recipe": name,
        "metric": index.metric,
        "fingerprint": source.fingerprint,
    }
    histories = ["abc", "z", "cabbage"]
    rows = np.full((3, 7), -1)
    for number, history in enumerate(histories):
        rows[number, : len(history)] = [ids.index(letter) for letter in history]
    (queries,) = session.run(None, {"items": rows})
    expected = model.recommend(of_lists(histories), 5, exclude_seen=False)
    got = index.search(queries, 5)
    assert got.ids() == expected.ids()
    np.testing.assert_allclose(got.scores, expected.scores, rtol=1e-5, atol=1e-5)


def test_users_have_a_file_of_ids(tmp_path: Path) -> None:
    model = TwoTower(epochs=1, dim=4, users=True).fit(clustered_sessions(20))
    save_model(model, tmp_path / "m", {})
    files = export_encoder(artifacts.read(tmp_path / "m"), tmp_path / "encoder.onnx")
    assert files.users == tmp_path / "encoder-users.ids.txt"
    users = files.users.read_text().splitlines()
    session = onnxruntime.InferenceSession(files.file)
    query = session.run(None, {"items": np.full((1, 1), -1), "user": np.array([users.index("u3")])})[0]
    np.testing.assert_allclose(query[0], model.arrays["users"][users.index("u3")], atol=1e-6)


def test_invalid_requests_are_refused(workspace: Any, tmp_path: Path) -> None:
    folder, _, name = workspace
    source = folder.find("model", name)
    with pytest.raises(SettingsError, match=r"an encoder is an \.onnx file, but .*encoder\.pt is another"):
        export_encoder(source, tmp_path / "encoder.pt")
    train_toy(folder, "mf")
    with pytest.raises(SettingsError, match=r"model mf \(mf\) has no ONNX encoder; .* two-tower, gru4rec, sasrec"):
        export_encoder(folder.find("model", "mf"), tmp_path / "encoder.onnx")


def test_ids_with_line_breaks_leave_no_file(tmp_path: Path) -> None:
    model = TwoTower(epochs=1, dim=4, patience=None).fit(of_lists([["a\nb", "c"], ["c", "a\nb"]]))
    save_model(model, tmp_path / "m", {})
    with pytest.raises(
        DataError, match=r"cannot contain the id 'a\\nb'; replace line breaks in the ids and train again"
    ):
        export_encoder(artifacts.read(tmp_path / "m"), tmp_path / "encoder.onnx")
    assert [f.name for f in tmp_path.iterdir()] == ["m"]


def test_users_with_line_breaks_leave_no_file(tmp_path: Path) -> None:
    sessions = clustered_sessions(20)
    assert sessions.users is not None
    users = np.array([f"{user}\n" for user in sessions.users], dtype=object)
    model = TwoTower(epochs=1, dim=4, users=True).fit(replace(sessions, users=users))
    save_model(model, tmp_path / "m", {})
    with pytest.raises(DataError, match=r"a line of .*encoder-users\.ids\.txt cannot contain the id '.*\\n'"):
        export_encoder(artifacts.read(tmp_path / "m"), tmp_path / "encoder.onnx")
    assert [f.name for f in tmp_path.iterdir()] == ["m"]
