"""Small vector models of random sessions, with indexes of their answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from embedrec.config import build
from embedrec.models import recipe_class
from embedrec.models.serialization import load_model
from embedrec.models.vector_model import VectorModel
from embedrec.storage import artifacts
from embedrec.storage.workspace import Workspace
from embedrec.workflows.build_index import IndexSettings, build_index_artifact, index_name
from embedrec.workflows.train import train_model
from tests.conftest import tiny_sessions

SMALL: dict[str, dict[str, Any]] = {
    "gru4rec": {"epochs": 2, "layers": "8", "n_sample": 8, "batch": 4},
    "word2vec": {"epochs": 2, "dim": 8, "min_count": 1},
    "two-tower": {"epochs": 2, "dim": 8, "negatives": 8, "patience": "none"},
    "mf": {"epochs": 2, "dim": 4},
}


def many_sessions() -> Any:
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    return tiny_sessions(["".join(letters[rng.permutation(26)[: rng.integers(2, 9)]]) for _ in range(80)])


def train_toy(workspace: Workspace, name: str) -> VectorModel:
    recipe = build(recipe_class(name), SMALL[name], source="test")
    folder = workspace.folder("model", name)
    train_model(recipe, workspace.find("sessions"), folder)
    model = load_model(artifacts.read(folder))
    assert isinstance(model, VectorModel)
    return model


def index_toy(workspace: Workspace, name: str, kind: str, **more: Any) -> artifacts.Artifact:
    source = workspace.find("model", name)
    folder = workspace.folder("index", index_name(name, kind, "answers"))
    return build_index_artifact(
        source, folder, IndexSettings(kind, "answers", **more), sessions=workspace.find("sessions")
    )
