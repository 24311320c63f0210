"""The artifact that training on Spark writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import ArtifactError, SettingsError
from embedrec.models.baselines.rules import SequentialRules
from embedrec.models.factorization.mf import MatrixFactorisation
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.spark.session import SparkSettings
from embedrec.storage.artifacts import Artifact
from embedrec.workflows.spark_train import train_on_spark
from embedrec.workflows.train import train_model


@pytest.mark.spark
def test_the_manifest_is_that_of_one_machine_and_names_the_engine(spark: Any, source: Artifact, tmp_path: Path) -> None:
    recipe = SequentialRules(steps=2)
    local = train_model(recipe, source, tmp_path / "models" / "a", seed=3)
    other = train_on_spark(recipe, source, tmp_path / "models" / "b", SparkSettings(), seed=3)
    about = {**other.about}
    assert about.pop("engine") == "spark"
    differing = {"seconds", "created", "files", "digest", "name"}
    assert {k: v for k, v in about.items() if k not in differing} == {
        k: v for k, v in local.about.items() if k not in differing
    }
    for name in ("items.npy", "scores.npy", "vocab.parquet"):
        assert other.path(name).read_bytes() == local.path(name).read_bytes()


@pytest.mark.spark
def test_the_manifest_has_the_loss_of_each_epoch(spark: Any, source: Artifact, tmp_path: Path) -> None:
    """Sums of losses are rounded differently; the vectors are not."""
    recipe = MatrixFactorisation(dim=3, epochs=2, min_count=1)
    local = train_model(recipe, source, tmp_path / "models" / "a", seed=3)
    other = train_on_spark(recipe, source, tmp_path / "models" / "b", SparkSettings(), seed=3)
    assert [epoch["epoch"] for epoch in other.about["epochs"]] == [1, 2]
    losses = [[epoch["loss"] for epoch in artifact.about["epochs"]] for artifact in (other, local)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    for name in ("items.npy", "axes.npy", "unobserved.npy", "seed.npy", "vocab.parquet"):
        assert other.path(name).read_bytes() == local.path(name).read_bytes()
    assert not [path for path in (tmp_path / "models").iterdir() if path.name.startswith(".")]  # no files are left


def test_what_is_refused_before_spark_starts(source: Artifact, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^word2vec is not trained by the engine spark, which trains ar, cooc"):
        train_on_spark(Word2Vec(), source, tmp_path / "models" / "w", SparkSettings())
    with pytest.raises(SettingsError, match=r"^mf with loss=logistic is trained by gradients, which the engine"):
        train_on_spark(MatrixFactorisation(loss="logistic"), source, tmp_path / "models" / "w", SparkSettings())
    (tmp_path / "models" / "x").mkdir(parents=True)
    (tmp_path / "models" / "x" / "other.txt").write_text("x")
    with pytest.raises(ArtifactError):
        train_on_spark(SequentialRules(), source, tmp_path / "models" / "x", SparkSettings())
