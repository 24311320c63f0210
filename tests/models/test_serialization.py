"""Saving and loading of models; `test_contract` saves and loads every recipe of the registry."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.errors import ArtifactError, SettingsError
from embedrec.models.base import Model, ThreadedModel
from embedrec.models.baselines.popular import Popular
from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
from embedrec.models.imported import Vectors
from embedrec.models.serialization import (
    LEGACY_DEFAULTS,
    load_item_vectors,
    load_model,
    load_vector_model,
    save_model,
    with_popularity,
)
from embedrec.models.session_knn.model import SessionKnnModel
from embedrec.models.session_knn.variants import SKNN
from embedrec.models.vector_model import VectorModel
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from tests.conftest import some_embeddings, tiny_sessions


def vector_model() -> VectorModel:
    embeddings = some_embeddings(6, 4, spread=0.7)
    return Vectors("dot").from_arrays(embeddings.vocab, {"items": embeddings.vectors})


def saved(model: Model, folder: Path) -> Artifact:
    save_model(model, folder, {"seed": 3})
    return artifacts.read(folder, "model")


def rewritten(source: Artifact, folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Write the artifact again as `folder`, with a change of what its manifest holds."""
    about = deepcopy(dict(source.about))
    change(about)
    with artifacts.writing(folder, "model", about) as draft:
        for file in source.folder.iterdir():
            if file.name != artifacts.MANIFEST:
                shutil.copy(file, draft.path(file.name))
    return folder


def test_the_manifest_contains_settings(tmp_path: Path) -> None:
    source = saved(Popular(half_life=2.0).from_arrays(tiny_sessions().vocab, {"counts": np.ones(6)}), tmp_path / "m")
    assert source.about["recipe"] == "popular" and source.about["settings"] == {"days": None, "half_life": 2.0}
    assert (source.about["items"], source.about["seed"], source.about["arrays"]) == (6, 3, ["counts"])
    loaded = load_model(source)
    assert loaded.recipe == Popular(half_life=2.0) and loaded.arrays["counts"].tolist() == [1] * 6


def test_a_folder_or_its_artifact(tmp_path: Path) -> None:
    source = saved(vector_model(), tmp_path / "m")
    for given in (source, tmp_path / "m", str(tmp_path / "m")):
        assert load_model(given).arrays["items"].tobytes() == vector_model().arrays["items"].tobytes()


def test_missing_settings_of_older_artifacts_have_their_old_defaults(tmp_path: Path) -> None:
    """A word2vec model from before the popularity exponent has the exponent 0, not the present default."""
    model = Word2Vec(dim=2, epochs=1, min_count=1, sample=0).fit(tiny_sessions())
    source = saved(model, tmp_path / "m")
    loaded = load_model(rewritten(source, tmp_path / "old", lambda about: about["settings"].pop("popularity")))
    assert LEGACY_DEFAULTS == {"word2vec": {"smoothing": 0.0, "popularity": 0.0, "similar_popularity": 0.0}}
    assert loaded.recipe.popularity == 0.0 and Word2Vec().popularity is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "change",
    [
        lambda about: about.update(recipe="word3vec"),
        lambda about: about["settings"].update(dim=2),
        lambda about: about["settings"].update(metric="manhattan"),
        lambda about: about.update(arrays=[]),
        lambda about: about.pop("settings"),
    ],
    ids=["recipe", "unknown setting", "invalid setting", "missing array", "no settings"],
)
def test_damaged_manifests_are_refused(change: Callable[[dict[str, Any]], Any], tmp_path: Path) -> None:
    folder = rewritten(saved(vector_model(), tmp_path / "m"), tmp_path / "damaged", change)
    with pytest.raises(ArtifactError, match="train the model again"):
        load_model(folder)


def test_another_kind_of_artifact(tmp_path: Path) -> None:
    tiny_sessions().save(tmp_path / "s", {})
    with pytest.raises(ArtifactError):
        load_model(tmp_path / "s")


def test_popularity_scaling_is_saved(tmp_path: Path) -> None:
    model = vector_model()
    source = saved(model, tmp_path / "m")
    assert with_popularity(source, model, None) is model
    norms = np.linalg.norm(model.embeddings.vectors, axis=1)
    scaled = with_popularity(source, model, 0.5)
    np.testing.assert_allclose(np.linalg.norm(scaled.embeddings.vectors, axis=1), norms**0.5, rtol=1e-5)
    popular = Popular().fit(tiny_sessions())
    source = saved(popular, tmp_path / "p")
    assert with_popularity(source, popular, None) is popular
    with pytest.raises(SettingsError) as error:
        with_popularity(source, popular, 0.5)
    assert str(error.value) == "model p (popular) has no vectors; leave --popularity out"


def test_load_item_vectors(tmp_path: Path) -> None:
    source = saved(vector_model(), tmp_path / "m")
    embeddings = load_item_vectors(source)
    assert embeddings.vectors.tobytes() == vector_model().embeddings.vectors.tobytes() and embeddings.metric == "dot"
    assert isinstance(load_vector_model(source), VectorModel)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            Cooccurrence().fit(tiny_sessions()),
            "model m (cooccurrence) has no vectors; `embedrec similar` and `embedrec export` take it without an index, "
            "with --model m",
        ),
        (
            Popular().fit(tiny_sessions()),
            "model m (popular) has no vectors; train word2vec, or name another model with --model",
        ),
    ],
    ids=["lists", "counts"],
)
def test_models_without_vectors(model: Model, message: str, tmp_path: Path) -> None:
    source = saved(model, tmp_path / "m")
    for load in (load_item_vectors, load_vector_model):
        with pytest.raises(SettingsError) as error:
            load(source)
        assert str(error.value) == message


def test_a_model_is_loaded_with_threads_if_it_can_use_them(tmp_path: Path) -> None:
    sessions = tiny_sessions()
    save_model(SKNN().fit(sessions), tmp_path / "sknn", {})
    loaded = load_model(tmp_path / "sknn", threads=2)
    assert isinstance(loaded, SessionKnnModel) and loaded.threads == 2
    assert isinstance(loaded, ThreadedModel)
    one = load_model(tmp_path / "sknn")
    assert isinstance(one, SessionKnnModel) and one.threads == 1
    assert np.array_equal(loaded.recommend(sessions, 3).rows, one.recommend(sessions, 3).rows)
    plain = load_model(saved(Popular().fit(sessions), tmp_path / "popular"), threads=2)
    assert not isinstance(plain, ThreadedModel)
