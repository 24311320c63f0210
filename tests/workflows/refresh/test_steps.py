"""The steps of a refresh: warm starts, alignment, and indexes that are updated or built again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data.session_changes import session_changes
from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.index.serialization import load_index
from embedrec.models.serialization import load_model
from embedrec.models.vector_model import VectorModel
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.vectors.space import space_of
from embedrec.workflows import warm_start
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.refresh.append import append_files
from embedrec.workflows.refresh.steps import (
    Computing,
    KnownChanges,
    recipe_to_continue,
    renew_index,
    renew_model,
    warm_start_of,
)
from embedrec.workflows.warm_start import KeepSpace


@pytest.fixture
def appended(shop: Workspace, night: Path, tmp_path: Path) -> Artifact:
    return append_files(shop.find("sessions", "clicks"), [night], tmp_path / "staged" / "sessions" / "clicks")


@pytest.fixture
def renewed(shop: Workspace, appended: Artifact, tmp_path: Path) -> tuple[Artifact, Artifact]:
    old = shop.find("model", "word2vec")
    return old, renew_model(shop, old, appended, tmp_path / "staged" / "models" / "word2vec", Computing())


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
    free = renew_model(shop, old, appended, tmp_path / "free" / "models" / "word2vec", Computing(), space=None)
    models = [load_model(one) for one in (free, new)]
    assert all(isinstance(model, VectorModel) for model in models)
    rows = np.arange(len(models[0].vocab))
    lists = [model.neighbours(rows, 5) for model in models]  # type: ignore[attr-defined]
    assert np.allclose(lists[0].scores, lists[1].scores, atol=1e-5)


@pytest.mark.parametrize(("space", "place"), [("align", "spaces.align_model"), ("frozen", "train.extend_frozen")])
def test_what_cannot_be_kept_is_said(
    shop: Workspace, appended: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: KeepSpace, place: str
) -> None:
    """Without common items a model starts a new space; one that cannot be frozen is aligned."""

    def fails(*_: object, **__: object) -> None:
        raise SettingsError("no item is common")

    monkeypatch.setattr(f"embedrec.workflows.{place}", fails)
    messages: list[str] = []

    def report(event: str, **values: Any) -> None:
        if event == "note":
            messages.append(values["message"])

    old, folder = shop.find("model", "word2vec"), tmp_path / "staged" / "models" / "word2vec"
    new = renew_model(shop, old, appended, folder, Computing(), space=space, report=report)
    assert (space_of(new) == space_of(old)) == (space == "frozen") == ("aligned" in new.about)
    what = "starts a new space" if space == "align" else "is continued and aligned, not frozen"
    assert messages == [f"model word2vec {what}: no item is common"]


@pytest.mark.parametrize("space", ["align", "frozen", None])
def test_models_without_vectors_have_no_space(
    shop: Workspace, appended: Artifact, tmp_path: Path, space: KeepSpace | None
) -> None:
    def report(event: str, **_: object) -> None:
        assert event != "note"

    lists, folder = shop.find("model", "cooccurrence"), tmp_path / "staged" / "models" / "cooccurrence"
    new = renew_model(shop, lists, appended, folder, Computing(), space=space, report=report)
    assert not {"aligned", "frozen", "space", "maps"} & new.about.keys()


def test_changes_that_are_known_are_not_compared_again(
    shop: Workspace, appended: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, old = shop.find("sessions", "clicks"), shop.find("model", "word2vec")
    known = KnownChanges(source, session_changes(Sessions.load(source), Sessions.load(appended)))
    folder = tmp_path / "staged" / "models" / "word2vec"
    twice = renew_model(shop, old, appended, folder, Computing())
    with monkeypatch.context() as patch:
        patch.setattr(warm_start, "session_changes", None)
        once = renew_model(shop, old, appended, folder, Computing(), known=known)
    assert once.files == twice.files
    other = KnownChanges(appended, known.changes)  # not those that the model was trained on
    assert warm_start_of(shop, old, other).changes is None


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
