"""The steps of a refresh: warm starts, alignment, and indexes that are updated or built again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.index.serialization import load_index
from embedrec.models.serialization import load_model
from embedrec.models.vector_model import VectorModel
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.vectors.space import space_of
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.refresh import steps as module
from embedrec.workflows.refresh.append import append_files
from embedrec.workflows.refresh.steps import Computing, align_renewed, recipe_to_continue, renew_index, renew_model


@pytest.fixture
def appended(shop: Workspace, night: Path, tmp_path: Path) -> Artifact:
    return append_files(shop.find("sessions", "clicks"), [night], tmp_path / "staged" / "sessions" / "clicks")


@pytest.fixture
def renewed(shop: Workspace, appended: Artifact, tmp_path: Path) -> tuple[Artifact, Artifact]:
    old = shop.find("model", "word2vec")
    new = renew_model(shop, old, appended, tmp_path / "staged" / "models" / "word2vec", Computing())
    return old, align_renewed(new, old)[0]


def test_a_model_continues_from_its_current_version(renewed: tuple[Artifact, Artifact]) -> None:
    old, new = renewed
    assert new.about["continued_from"]["fingerprint"] == old.fingerprint
    recipe, warm = recipe_to_continue(old)
    assert warm and recipe.name == "word2vec"


def test_alignment_keeps_the_space_and_all_scores(
    shop: Workspace, appended: Artifact, tmp_path: Path, renewed: tuple[Artifact, Artifact]
) -> None:
    old, new = renewed
    assert space_of(new) == space_of(old) and new.about["aligned"] > 0.5
    free = renew_model(shop, old, appended, tmp_path / "free" / "models" / "word2vec", Computing())
    models = [load_model(one) for one in (free, new)]
    assert all(isinstance(model, VectorModel) for model in models)
    rows = np.arange(len(models[0].vocab))
    lists = [model.neighbours(rows, 5) for model in models]  # type: ignore[attr-defined]
    assert np.allclose(lists[0].scores, lists[1].scores, atol=1e-5)
    again, cosine = align_renewed(new, old)
    assert again.digest == new.digest and cosine == new.about["aligned"]


def test_what_cannot_be_aligned_starts_a_new_space(
    renewed: tuple[Artifact, Artifact],
    shop: Workspace,
    appended: Artifact,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, _ = renewed
    free = renew_model(shop, old, appended, tmp_path / "free" / "models" / "word2vec", Computing())

    def fails(*_: object) -> None:
        raise SettingsError("no item is common")

    monkeypatch.setattr(module, "align_artifact", fails)
    messages: list[str] = []
    same, cosine = align_renewed(free, old, lambda event, message: messages.append(message))
    assert same is free and cosine is None and space_of(free) != space_of(old)
    assert messages == ["model word2vec starts a new space: no item is common"]


def test_models_without_vectors_stay_as_they_are(shop: Workspace) -> None:
    lists = shop.find("model", "cooccurrence")
    assert align_renewed(lists, lists) == (lists, None)


def test_an_index_is_updated_in_place(
    renewed: tuple[Artifact, Artifact], shop: Workspace, appended: Artifact, tmp_path: Path
) -> None:
    new, numbers = renew_index(shop.find("index", "word2vec-ivf"), renewed[1], appended, Workspace(tmp_path / "staged"))
    assert numbers["added"] == 1
    index, model = load_index(new), load_model(renewed[1])
    rows = model.vocab.rows_of(index.vocab.ids)
    assert np.array_equal(index.embeddings.vectors, model.embeddings.vectors[rows])  # type: ignore[attr-defined]
    assert new.about["indexed"]["fingerprint"] == renewed[1].fingerprint


def test_other_indexes_are_built_again_as_they_were(
    renewed: tuple[Artifact, Artifact], shop: Workspace, appended: Artifact, tmp_path: Path
) -> None:
    old, new = renewed
    sessions = shop.find("sessions", "clicks")
    settings = {
        "graph": IndexSettings("hnsw"),
        "scaled": IndexSettings("flat", popularity=0.5),
        "far": IndexSettings("hnsw", metric="l2", seed=3),
        "past": IndexSettings("flat", "sessions"),
        "answers": IndexSettings("flat", "answers"),
    }
    for name, one in settings.items():
        before = build_index_artifact(
            old, shop.folder("index", name), one, sessions=None if one.of == "items" else sessions
        )
        after, numbers = renew_index(before, new, appended, Workspace(tmp_path / "staged"))
        for key in ("of", "metric", "popularity", "seed", "type"):
            assert after.about.get(key) == before.about.get(key), (name, key)
        assert after.about["indexed"]["fingerprint"] == new.fingerprint
        assert name == "scaled" or "built" in numbers
        if one.of == "sessions":
            assert after.about["items"] == len(Sessions.load(appended))
