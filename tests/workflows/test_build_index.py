"""Building of index artifacts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.index.measure import sample_queries
from embedrec.index.search_settings import SearchSettings
from embedrec.index.serialization import load_index
from embedrec.index.target import SearchTarget
from embedrec.models.baselines.popular import Popular
from embedrec.models.filtered_recommend import sample_query_vectors
from embedrec.models.serialization import load_item_vectors
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.lineage import provenance
from embedrec.workflows.train import import_vectors, train_model
from embedrec.workflows.verify import verify_recall
from tests.workflows.toy_models import index_toy, train_toy

WORD2VEC = Word2Vec(min_count=1, dim=4, epochs=2, sample=0.0)


def test_an_index_records_its_model_and_settings(prepared: Artifact, tmp_path: Path) -> None:
    model = train_model(WORD2VEC, prepared, tmp_path / "m")
    artifact = build_index_artifact(model, tmp_path / "i", IndexSettings("flat", seed=5))
    assert artifact.about["indexed"] == provenance(model)
    assert (artifact.about["type"], artifact.about["spec"], artifact.about["metric"]) == ("flat", "Flat", "dot")
    assert artifact.about["seed"] == 5
    other = build_index_artifact(model, tmp_path / "j", IndexSettings("flat", metric="l2"))
    assert load_index(other).metric == other.about["metric"] == "l2"
    assert (load_index(artifact).embeddings.vectors == load_item_vectors(model).vectors).all()


def test_a_model_without_vectors_cannot_be_indexed(prepared: Artifact, tmp_path: Path) -> None:
    popular = train_model(Popular(), prepared, tmp_path / "p")
    with pytest.raises(
        SettingsError, match=r"model p \(popular\) has no vectors; train word2vec, or name another model with --model"
    ):
        build_index_artifact(popular, tmp_path / "i", IndexSettings("flat"))
    assert not (tmp_path / "i").exists()


def test_the_same_input_has_the_same_fingerprint(prepared: Artifact, tmp_path: Path) -> None:
    for step in (
        lambda name: train_model(WORD2VEC, prepared, tmp_path / name, seed=1),
        lambda name: build_index_artifact(
            artifacts.read(tmp_path / "a"), tmp_path / f"{name}-index", IndexSettings("IVF2,Flat", seed=1)
        ),
    ):
        assert step("a").fingerprint == step("b").fingerprint


def test_an_index_of_answers_is_measured_on_histories(workspace: Workspace) -> None:
    """Recall of a search of one cell, on states of the network instead of items."""
    model = train_toy(workspace, "gru4rec")
    settings = SearchSettings(nprobe=1)
    artifact = index_toy(workspace, "gru4rec", "IVF4,Flat", search=settings, target=SearchTarget(0.01, 3), seed=3)
    queries = sample_query_vectors(model, Sessions.load(workspace.find("sessions")), 4000, seed=3)
    assert queries.shape == (80, 9) and (queries[:, -1] == 1).all()
    index = load_index(artifact)
    expected = sample_queries(model.answers, queries, 3).recall_of(index)
    assert artifact.about["facts"]["recall@3"] == round(expected.mean, 4) < 1
    stored_queries = artifact.array("queries")
    np.testing.assert_array_equal(
        stored_queries, sample_query_vectors(model, Sessions.load(workspace.find("sessions")), 4000, seed=4)
    )
    reports, _ = verify_recall(artifact)
    assert "on 80 fresh histories" in reports


def test_an_index_of_an_imported_model_is_measured_on_its_items(workspace: Workspace, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32))
    (tmp_path / "x.ids.txt").write_text("".join(f"i{n}\n" for n in range(40)))
    source = import_vectors(tmp_path / "x.npy", workspace.folder("model", "x"), metric="dot")
    artifact = build_index_artifact(source, workspace.folder("index", "x"), IndexSettings("flat", "answers"))
    assert "queries.npy" not in artifact and artifact.about["facts"]["recall_queries"] == 40
    assert "on 40 fresh items" in verify_recall(artifact)[0]
