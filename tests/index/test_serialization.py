"""Indexes as artifacts: what is written beside them, and folders whose parts do not match."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data import Features, Vocab
from embedrec.errors import ArtifactError, DataError
from embedrec.index.build import build_index
from embedrec.index.serialization import check_rows, load_index, load_item_features, load_queries, save_index
from embedrec.storage import artifacts
from tests.conftest import some_embeddings


def test_a_loaded_index_equals_the_saved_one(tmp_path: Path) -> None:
    index = build_index(some_embeddings(60, 4, "dot", spread=0.3), "IVF3,Flat")
    save_index(index, tmp_path / "x", {"model": "m"})
    artifact = artifacts.read(tmp_path / "x", "index")
    assert artifact.about["model"] == "m" and artifact.about["facts"] == index.measurements
    assert set(artifact.files) == {"index.faiss", "vectors.npy", "vocab.parquet"}
    for source in (artifact, tmp_path / "x", str(tmp_path / "x")):
        again = load_index(source)
        assert (again.spec, again.augmented, again.settings) == (index.spec, True, index.settings)
        assert (again.max_norm, again.measurements) == (index.max_norm, index.measurements)
        results, expected = (one.search(index.embeddings.vectors, 5) for one in (again, index))
        assert (results.rows == expected.rows).all() and (results.scores == expected.scores).all()


def test_reordered_rows_are_saved(tmp_path: Path) -> None:
    index = build_index(some_embeddings(2000, 4), "hnsw")
    assert index.rows is not None
    save_index(index, tmp_path / "x", {})
    assert load_index(tmp_path / "x").rows.tolist() == index.rows.tolist()  # type: ignore[union-attr]


def test_queries_and_features_are_saved_with_an_index(tmp_path: Path) -> None:
    index = build_index(some_embeddings(30, 4), "flat")
    save_index(index, tmp_path / "plain", {})
    plain = artifacts.read(tmp_path / "plain")
    assert load_queries(plain) is None and load_item_features(plain) is None
    queries = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    features = Features(Vocab(["i7", "i3", "other"]), {"year": np.array([1991, 1975, 2000])})
    save_index(index, tmp_path / "both", {}, queries=queries, features=features)
    both = artifacts.read(tmp_path / "both")
    assert (load_queries(both) == queries).all()
    saved = load_item_features(both)
    assert saved is not None and saved.vocab.ids.tolist() == index.vocab.ids.tolist()
    years = saved.numeric["year"].tolist()
    assert (years[7], years[3]) == (1991, 1975) and np.isnan(years[0])


@pytest.mark.parametrize("rows", [[0, 1, 2], [2, -1, 0, -1, 1]])
def test_a_permutation_of_rows_is_accepted(rows: list[int]) -> None:
    check_rows(np.array(rows), 3)


@pytest.mark.parametrize(
    "rows", [[0, 1], [0, 1, 1], [0, 1, 3], [0, 1, 2, 2], [0, 1, 2, -2], [[0, 1, 2]], [2**62, 0, 1]]
)
def test_rows_that_are_not_a_permutation_are_refused(rows: Any) -> None:
    with pytest.raises(DataError) as error:
        check_rows(np.array(rows), 3)
    assert str(error.value) == "the rows of its labels are not a permutation of 3 rows"


def replace_file(folder: Path, other: Path, name: str) -> None:
    """Take a file of another artifact, and write a manifest that fits it."""
    shutil.copy(other / name, folder / name)
    path = folder / artifacts.MANIFEST
    manifest = json.loads(path.read_text())
    manifest["files"][name] = artifacts.describe_file(folder / name)
    del manifest["digest"]
    manifest["digest"] = artifacts.json_digest(manifest)
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(("n", "d", "held"), [(40, 4, "40 × 4"), (30, 5, "30 × 5")])
def test_a_file_of_another_index_is_refused(tmp_path: Path, n: int, d: int, held: str) -> None:
    save_index(build_index(some_embeddings(30, 4), "flat"), tmp_path / "x", {})
    save_index(build_index(some_embeddings(n, d), "flat"), tmp_path / "y", {})
    replace_file(tmp_path / "x", tmp_path / "y", "index.faiss")
    with pytest.raises(ArtifactError, match=f"index.faiss contains {held} vectors instead of 30 × 4"):
        load_index(tmp_path / "x")
