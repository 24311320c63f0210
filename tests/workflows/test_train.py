"""Training of model artifacts, from scratch and from a model, and imported vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from embedrec.errors import DataError, SettingsError
from embedrec.models.baselines.popular import Popular
from embedrec.models.serialization import load_item_vectors, load_model
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.vectors.file_formats import save_vectors
from embedrec.workflows.train import import_vectors, recipe_of, train_model
from tests.conftest import some_embeddings

SMALL = Word2Vec(min_count=1, dim=4, epochs=2, sample=0.0)


def test_a_model_records_its_training(prepared: Artifact, tmp_path: Path) -> None:
    reports: list[str] = []
    artifact = train_model(SMALL, prepared, tmp_path / "m", seed=3, report=lambda event, **_: reports.append(event))
    about = artifact.about
    assert about["trained_on"] == {"name": "s", "fingerprint": prepared.fingerprint, "created": prepared.created}
    assert (about["seed"], about["threads"], about["continued_from"]) == (3, 1, None)
    assert (about["recipe"], about["settings"]["dim"], about["items"]) == ("word2vec", 4, 6)
    assert [e["epoch"] for e in about["epochs"]] == [1, 2]
    assert reports.count("epoch") == 2
    assert replace(load_model(artifact).recipe, popularity=None) == SMALL  # type: ignore[type-var]


def test_imported_vectors_equal_the_file(tmp_path: Path) -> None:
    embeddings = some_embeddings(metric="l2")
    save_vectors(embeddings, tmp_path / "v.parquet")
    artifact = import_vectors(tmp_path / "v.parquet", tmp_path / "m")
    assert artifact.about["settings"]["metric"] == "l2"
    loaded = load_item_vectors(artifact)
    assert loaded.metric == "l2" and (loaded.vectors == embeddings.vectors).all()
    assert loaded.vocab.counts is not None and embeddings.vocab.counts is not None
    assert loaded.vocab.counts.tolist() == embeddings.vocab.counts.tolist()
    assert load_item_vectors(import_vectors(tmp_path / "v.parquet", tmp_path / "m", metric="dot")).metric == "dot"


def test_a_failed_step_leaves_the_previous_artifact(prepared: Artifact, tmp_path: Path) -> None:
    model = train_model(SMALL, prepared, tmp_path / "m")
    with pytest.raises(DataError):
        train_model(Word2Vec(min_count=99), prepared, tmp_path / "m")
    with pytest.raises(DataError):
        import_vectors(tmp_path / "words", tmp_path / "m", kind="binary")
    assert artifacts.read(tmp_path / "m") == model
    assert sorted(f.name for f in tmp_path.iterdir()) == ["m", "s", "words"]


def test_settings_are_read_from_defaults_file_and_set(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text("[train.word2vec]\ndim = 32\nepochs = 7\n[train.popular]\n")
    assert recipe_of(Word2Vec, None, []) == Word2Vec()
    assert recipe_of(Word2Vec, config, ["epochs=9"]) == Word2Vec(dim=32, epochs=9)
    assert recipe_of(Popular, config, []) == Popular()
    for text, pairs, message in (
        ("[train.word2vec]\ndims = 3", [], f"unknown setting 'dims' in {config}; did you mean 'dim'"),
        ("[train.word2vec]\ndim = 'x'", [], f"in {config} must be a whole number"),
        ("[train.word2vec]", ["dims=3"], "unknown setting 'dims' in --set"),
        ("[train.word2vec]", ["dim=0"], "dim must be"),
        ("", [], "must contain the settings in a table [train.word2vec], but has none"),
        ("dim = 8", [], "must contain the settings in a table [train.word2vec], but has 'dim' outside of it"),
        ("[train.word2vek]", [], "but has none; did you mean 'train.word2vek'?"),
        ("train = 5", [], "but has none"),
        ("[train]\nword2vec = 5", [], "must be a table"),
    ):
        config.write_text(text)
        with pytest.raises(SettingsError) as raised:
            recipe_of(Word2Vec, config, pairs)
        assert message in str(raised.value)
