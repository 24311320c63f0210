"""The space of trained models: kept by rotation or by frozen vectors, or new, with maps into older ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedrec.errors import SettingsError
from embedrec.models.baselines.popular import Popular
from embedrec.models.cooccurrence.svd import Spectral
from embedrec.models.serialization import load_vector_model
from embedrec.models.space_maps import load_maps
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.storage.artifacts import Artifact
from embedrec.vectors.space import space_of
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.spaces import align_artifact, item_vectors
from embedrec.workflows.train import train_model
from embedrec.workflows.update_index import Changes, change_index
from embedrec.workflows.warm_start import WarmStart

SMALL = Word2Vec(min_count=1, dim=3, epochs=5, sample=0.0, popularity=0.0)


@pytest.fixture
def model(prepared: Artifact, tmp_path: Path) -> Artifact:
    return train_model(SMALL, prepared, tmp_path / "m")


def test_a_continued_model_is_aligned(model: Artifact, prepared: Artifact, tmp_path: Path) -> None:
    plain = train_model(SMALL, prepared, tmp_path / "plain", start=WarmStart(model))
    aligned = train_model(SMALL, prepared, tmp_path / "aligned", start=WarmStart(model, space="align"))
    assert space_of(aligned) == space_of(model) == model.fingerprint
    fit = aligned.about["alignment"]
    assert fit["with"]["name"] == "m" and fit["common"] == 6 and fit["mean"] == aligned.about["aligned"] > 0.9
    products = [(v := load_vector_model(one).embeddings.vectors) @ v.T for one in (plain, aligned)]
    np.testing.assert_allclose(*products, atol=1e-5)
    assert space_of(plain) == plain.fingerprint and list(load_maps(plain)) == [space_of(model)]
    np.testing.assert_allclose(
        item_vectors(plain, space_of(model)).vectors, load_vector_model(aligned).embeddings.vectors, atol=1e-5
    )
    assert item_vectors(plain).vectors.tobytes() == load_vector_model(plain).embeddings.vectors.tobytes()
    again = train_model(SMALL, prepared, tmp_path / "again", start=WarmStart(plain, space="align"))
    assert list(load_maps(again)) == [space_of(model)] and space_of(again) == space_of(plain)


def test_frozen_vectors_stay_in_their_space(model: Artifact, prepared: Artifact, tmp_path: Path) -> None:
    frozen = train_model(SMALL, prepared, tmp_path / "f", start=WarmStart(model, space="frozen"))
    assert space_of(frozen) == space_of(model) and frozen.about["frozen"] is True
    assert frozen.about["continued_from"]["name"] == "m"
    one, other = (load_vector_model(a).embeddings.vectors for a in (model, frozen))
    assert one.tobytes() == other.tobytes()
    with pytest.raises(SettingsError, match="--frozen keeps the settings of model m; leave --config and --set out"):
        train_model(replace(SMALL, epochs=1), prepared, tmp_path / "f", start=WarmStart(model, space="frozen"))


def test_models_without_vectors_have_no_space_to_keep(prepared: Artifact, tmp_path: Path) -> None:
    popular = train_model(Popular(), prepared, tmp_path / "p")
    with pytest.raises(SettingsError, match="popular has no vectors to align; leave --align out"):
        train_model(Popular(), prepared, tmp_path / "q", start=WarmStart(popular, space="align"))
    with pytest.raises(SettingsError, match=r"model p \(popular\) has no vectors"):
        train_model(Popular(), prepared, tmp_path / "q", start=WarmStart(popular, space="frozen"))


def test_a_finished_model_is_aligned(model: Artifact, prepared: Artifact, tmp_path: Path) -> None:
    other = train_model(SMALL, prepared, tmp_path / "other", seed=5)
    done = align_artifact(other, model, tmp_path / "done")
    assert space_of(done) == space_of(model) and done.about["trained_on"] == other.about["trained_on"]
    with pytest.raises(SettingsError, match=f"models done and m are in the same space \\({model.fingerprint[:12]}\\)"):
        align_artifact(done, model, tmp_path / "done")
    wide = train_model(Spectral(dim=2, min_count=1), prepared, tmp_path / "wide")
    with pytest.raises(SettingsError, match="the vectors have 2 dimensions, but the space has 3; train with dim=3"):
        align_artifact(wide, model, tmp_path / "done")


def test_an_index_is_in_the_space_of_its_vectors(model: Artifact, prepared: Artifact, tmp_path: Path) -> None:
    other = train_model(SMALL, prepared, tmp_path / "other", seed=5)
    index = build_index_artifact(model, tmp_path / "i", IndexSettings("flat"))
    assert space_of(index) == space_of(model)
    aligned = change_index(index, tmp_path / "a", Changes(other, align=True)).artifact
    assert space_of(aligned) == space_of(model) and aligned.about["indexed"]["name"] == "other"
    assert space_of(change_index(index, tmp_path / "b", Changes(other)).artifact) == space_of(other)
    continued = train_model(SMALL, prepared, tmp_path / "c", start=WarmStart(model))
    older = build_index_artifact(continued, tmp_path / "o", IndexSettings("flat", space=space_of(model)[:10]))
    assert space_of(older) == space_of(model)
