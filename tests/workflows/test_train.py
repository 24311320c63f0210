"""Training of model artifacts, from scratch and from a model, and imported vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from embedrec.errors import DataError, SettingsError
from embedrec.models import MODELS, recipe_class
from embedrec.models.baselines.popular import Popular
from embedrec.models.serialization import load_item_vectors, load_model
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.vectors.file_formats import save_vectors
from embedrec.workflows.lineage import provenance
from embedrec.workflows.train import continuing_settings, import_vectors, recipe_of, train_model
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


def test_a_warm_start_records_the_first_model(prepared: Artifact, tmp_path: Path) -> None:
    first = train_model(SMALL, prepared, tmp_path / "m")
    second = train_model(SMALL, prepared, tmp_path / "again", start=first)
    assert second.about["continued_from"] == provenance(first)
    assert second.fingerprint != first.fingerprint
    popular = train_model(Popular(), prepared, tmp_path / "p")
    with pytest.raises(SettingsError, match="word2vec cannot continue from p, which is a model of another kind"):
        train_model(SMALL, prepared, tmp_path / "again", start=popular)
    with pytest.raises(SettingsError, match="popular does not support warm starts; leave --from out"):
        train_model(Popular(), prepared, tmp_path / "again", start=first)
    assert artifacts.read(tmp_path / "again").fingerprint == second.fingerprint


def test_a_warm_start_has_its_own_default_settings(prepared: Artifact, tmp_path: Path) -> None:
    long = Word2Vec(min_count=1, dim=4, epochs=30, alpha=0.05, min_alpha=0.01, window=3)
    first = train_model(long, prepared, tmp_path / "m")
    base = continuing_settings(Word2Vec, first)
    continued = recipe_of(Word2Vec, None, [], base)
    assert continued == replace(load_model(first).recipe, epochs=2, alpha=0.005, min_alpha=0.005)  # type: ignore[type-var]
    given = recipe_of(Word2Vec, None, ["epochs=7", "alpha=.02"], base)
    assert (given.epochs, given.alpha, given.window) == (7, 0.02, 3)
    careful = replace(long, epochs=1, alpha=0.001, min_alpha=0.0001)
    assert careful.continuing() == careful


@pytest.mark.parametrize("name", [name for name, entry in MODELS.items() if not entry.warm_start])
def test_models_without_warm_starts_refuse_them(prepared: Artifact, tmp_path: Path, name: str) -> None:
    first = train_model(Popular(), prepared, tmp_path / "p")
    with pytest.raises(SettingsError, match=f"^{name} does not support warm starts; leave --from out"):
        continuing_settings(recipe_class(name), first)


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
