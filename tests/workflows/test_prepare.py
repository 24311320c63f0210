"""The road from artifact to artifact, and what each says of the one before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data import Events, Sessions
from embedrec.data.filters import Filters
from embedrec.errors import ArtifactError, DataError, EmbedrecError, SettingsError
from embedrec.index.serialization import load_index
from embedrec.models import MODELS, recipe_class
from embedrec.models.baselines.popular import Popular
from embedrec.models.serialization import load_item_vectors, load_model
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.tabular.read_settings import ReadSettings
from embedrec.vectors.file_formats import save_vectors
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.lineage import counts, provenance
from embedrec.workflows.prepare import prepare_sessions
from embedrec.workflows.train import continuing_settings, import_vectors, recipe_of, train_model
from embedrec.workflows.verify import verify_artifact
from tests.conftest import LISTS, some_embeddings, tiny_sessions


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


SMALL = Word2Vec(min_count=1, dim=4, epochs=2, sample=0.0)


def test_prepare(prepared: Artifact, tmp_path: Path) -> None:
    sessions = Sessions.load(prepared)
    assert [[str(i) for i in sessions.vocab.ids[items]] for items in map(sessions.__getitem__, range(3))] == [
        ["A", "B", "A", "C"],
        ["A", "B", "D"],
        ["B", "C", "A"],
    ]
    about = prepared.about
    assert about["source"] == "letters" and about["reader"] == {"upper": True}
    assert about["paths"] == [str(tmp_path / "words")]
    assert about["read"] == {"events": sum(map(len, LISTS)), "sessions": len(LISTS), "items": 6}
    assert (about["sessions"], about["items"], about["events"]) == (11, 6, sum(map(len, LISTS)) - 1)
    assert about["filters"]["min_length"] == 2
    assert about["removed"][0]["sessions"] == 1


def test_train(prepared: Artifact, tmp_path: Path) -> None:
    told: list[str] = []
    done = train_model(SMALL, prepared, tmp_path / "m", seed=3, report=lambda event, **_: told.append(event))
    about = done.about
    assert about["trained_on"] == {"name": "s", "fingerprint": prepared.fingerprint, "created": prepared.created}
    assert (about["seed"], about["threads"], about["continued_from"]) == (3, 1, None)
    assert (about["recipe"], about["settings"]["dim"], about["items"]) == ("word2vec", 4, 6)
    assert [e["epoch"] for e in about["epochs"]] == [1, 2]
    assert told.count("epoch") == 2
    assert replace(load_model(done).recipe, popularity=None) == SMALL  # type: ignore[type-var]


def test_train_from_a_model(prepared: Artifact, tmp_path: Path) -> None:
    first = train_model(SMALL, prepared, tmp_path / "m")
    again = train_model(SMALL, prepared, tmp_path / "again", start=first)
    assert again.about["continued_from"] == provenance(first)
    assert again.fingerprint != first.fingerprint
    popular = train_model(Popular(), prepared, tmp_path / "p")
    with pytest.raises(SettingsError, match="word2vec cannot continue from p, which is a model of another kind"):
        train_model(SMALL, prepared, tmp_path / "again", start=popular)
    with pytest.raises(SettingsError, match="popular cannot continue from a finished model; leave --from out"):
        train_model(Popular(), prepared, tmp_path / "again", start=first)
    assert artifacts.read(tmp_path / "again").fingerprint == again.fingerprint


def test_a_continued_model_has_settings_for_continuing(prepared: Artifact, tmp_path: Path) -> None:
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
def test_models_that_cannot_continue(prepared: Artifact, tmp_path: Path, name: str) -> None:
    first = train_model(Popular(), prepared, tmp_path / "p")
    with pytest.raises(SettingsError, match=f"^{name} cannot continue from a finished model; leave --from out"):
        continuing_settings(recipe_class(name), first)


def test_index(prepared: Artifact, tmp_path: Path) -> None:
    model = train_model(SMALL, prepared, tmp_path / "m")
    done = build_index_artifact(model, tmp_path / "i", IndexSettings("flat", seed=5))
    assert done.about["indexed"] == provenance(model)
    assert (done.about["type"], done.about["spec"], done.about["metric"]) == ("flat", "Flat", "cosine")
    assert done.about["seed"] == 5
    other = build_index_artifact(model, tmp_path / "j", IndexSettings("flat", metric="l2"))
    assert load_index(other).metric == other.about["metric"] == "l2"
    assert (load_index(done).embeddings.vectors == load_item_vectors(model).vectors).all()


def test_a_model_without_vectors_cannot_be_indexed(prepared: Artifact, tmp_path: Path) -> None:
    popular = train_model(Popular(), prepared, tmp_path / "p")
    with pytest.raises(
        SettingsError, match=r"model p \(popular\) has no vectors; train word2vec, or name another model with --model"
    ):
        build_index_artifact(popular, tmp_path / "i", IndexSettings("flat"))
    assert not (tmp_path / "i").exists()


def test_import_vectors(tmp_path: Path) -> None:
    embeddings = some_embeddings(metric="l2")
    save_vectors(embeddings, tmp_path / "v.parquet")
    done = import_vectors(tmp_path / "v.parquet", tmp_path / "m")
    assert done.about["settings"]["metric"] == "l2"
    back = load_item_vectors(done)
    assert back.metric == "l2" and (back.vectors == embeddings.vectors).all()
    assert back.vocab.counts is not None and embeddings.vocab.counts is not None
    assert back.vocab.counts.tolist() == embeddings.vocab.counts.tolist()
    assert load_item_vectors(import_vectors(tmp_path / "v.parquet", tmp_path / "m", metric="dot")).metric == "dot"


def test_the_same_again_has_the_same_fingerprint(prepared: Artifact, tmp_path: Path) -> None:
    for step in (
        lambda name: train_model(SMALL, prepared, tmp_path / name, seed=1),
        lambda name: build_index_artifact(
            artifacts.read(tmp_path / "a"), tmp_path / f"{name}-index", IndexSettings("IVF2,Flat", seed=1)
        ),
    ):
        assert step("a").fingerprint == step("b").fingerprint


def test_a_step_that_fails_leaves_the_old(prepared: Artifact, tmp_path: Path) -> None:
    model = train_model(SMALL, prepared, tmp_path / "m")
    with pytest.raises(DataError):
        train_model(Word2Vec(min_count=99), prepared, tmp_path / "m")
    with pytest.raises(DataError):
        import_vectors(tmp_path / "words", tmp_path / "m", kind="binary")
    assert artifacts.read(tmp_path / "m") == model
    assert sorted(f.name for f in tmp_path.iterdir()) == ["m", "s", "words"]


def test_recipe_of(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text("[train.word2vec]\ndim = 32\nepochs = 7\n[train.popular]\n")
    assert recipe_of(Word2Vec, None, []) == Word2Vec()
    assert recipe_of(Word2Vec, config, ["epochs=9"]) == Word2Vec(dim=32, epochs=9)
    assert recipe_of(Popular, config, []) == Popular()
    for text, pairs, says in (
        ("[train.word2vec]\ndims = 3", [], f"unknown setting 'dims' in {config}; did you mean 'dim'"),
        ("[train.word2vec]\ndim = 'x'", [], f"in {config} must be a whole number"),
        ("[train.word2vec]", ["dims=3"], "unknown setting 'dims' in --set"),
        ("[train.word2vec]", ["dim=0"], "dim must be"),
        ("", [], "must hold the settings in a table [train.word2vec], but has none"),
        ("dim = 8", [], "must hold the settings in a table [train.word2vec], but has 'dim' outside of it"),
        ("[train.word2vek]", [], "but has none; did you mean 'train.word2vek'?"),
        ("train = 5", [], "but has none"),
        ("[train]\nword2vec = 5", [], "must be a table"),
    ):
        config.write_text(text)
        with pytest.raises(SettingsError) as said:
            recipe_of(Word2Vec, config, pairs)
        assert says in str(said.value)


def test_verdict(tmp_path: Path) -> None:
    tiny_sessions().save(tmp_path / "s", {})
    assert verify_artifact(tmp_path / "s") is None
    with artifacts.writing(tmp_path / "x", "poem", {}):
        pass
    assert (
        verify_artifact(tmp_path / "x") == f"{tmp_path / 'x'} is of the unknown kind 'poem'; write the artifact again"
    )
    assert "is not an artifact" in (verify_artifact(tmp_path) or "")
    assert "is not an artifact" in (verify_artifact(tmp_path / "nowhere") or "")
    assert issubclass(ArtifactError, EmbedrecError)


def test_provenance_and_counts(prepared: Artifact) -> None:
    assert counts(Sessions.load(prepared)) == {k: prepared.about[k] for k in ("sessions", "items", "events")}
    assert np.isfinite(prepared.about["seconds"])
