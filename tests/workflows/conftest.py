"""What the tests of workflows share: sessions in time, whole and split, and models of them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data import Events, Vocab
from embedrec.data.filters import Filters
from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
from embedrec.models.session_knn.variants import SKNN
from embedrec.splitting.rules import Time
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.tabular.read_settings import ReadSettings
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.file_formats import save_vectors
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.prepare import prepare_sessions
from embedrec.workflows.split import write_split
from embedrec.workflows.train import import_vectors, train_model
from tests.conftest import LISTS, of_lists
from tests.workflows.toy_models import many_sessions
from tests.workflows.toy_sessions import world


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trial")
    world().save(root / "sessions" / "world", {})
    write_split(artifacts.read(root / "sessions" / "world"), root / "sessions" / "split", Time(share=0.2))
    return root


@pytest.fixture
def source(root: Path) -> Artifact:
    return artifacts.read(root / "sessions" / "world", "sessions")


@pytest.fixture
def split_source(root: Path) -> Artifact:
    return artifacts.read(root / "sessions" / "split", "sessions")


@dataclass(frozen=True)
class Letters:
    """A reader of one word a session, a letter an item."""

    upper: bool = False

    def read(self, paths: Any, settings: ReadSettings) -> Events:
        words = [w.upper() if self.upper else w for w in Path(paths[0]).read_text().split()]
        settings.report("progress", done=1, total=1, unit="files")
        return Events.of([s for s, w in enumerate(words) for _ in w], [i for w in words for i in w])


@pytest.fixture
def prepared(tmp_path: Path) -> Artifact:
    (tmp_path / "words").write_text(" ".join(LISTS))
    return prepare_sessions(
        "letters", Letters(upper=True), [tmp_path / "words"], tmp_path / "s", Filters(min_length=2), ReadSettings()
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    with artifacts.writing(tmp_path / "sessions" / "tiny", "sessions", {}) as draft:
        many_sessions().write(draft)
    return Workspace(tmp_path)


@pytest.fixture(scope="module")
def vectors_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of six sessions "plays", the models "cooccurrence", "sknn" and "vectors" (in a plane), and the index
    "flat" of the vectors."""
    root = tmp_path_factory.mktemp("vectors")
    workspace = Workspace(root)
    of_lists(["abc", "abd", "bcd", "ab", "cde", "a"]).save(workspace.folder("sessions", "plays"), {})
    source = workspace.find("sessions", "plays")
    for recipe in (Cooccurrence(), SKNN()):
        train_model(recipe, source, workspace.folder("model", recipe.name))
    items = Embeddings(np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1]], np.float32), Vocab(list("abcd")))
    vectors = root / "vectors.parquet"
    save_vectors(items, vectors)
    model = import_vectors(vectors, workspace.folder("model", "vectors"))
    build_index_artifact(model, workspace.folder("index", "flat"), IndexSettings("flat"))
    return root


@pytest.fixture
def plays(vectors_root: Path, tmp_path: Path) -> Workspace:
    """A copy of the workspace of `vectors_root`."""
    shutil.copytree(vectors_root, tmp_path / "plays")
    return Workspace(tmp_path / "plays")
