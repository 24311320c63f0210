"""FAISS indexes from factory strings: creation, training on a sample, filling in blocks."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import pytest

from embedrec.errors import SettingsError
from embedrec.vectors import faiss_factory
from embedrec.vectors.faiss_factory import create_index, fill, train
from embedrec.vectors.faiss_structure import centroids_of

VECTORS = np.random.default_rng(0).normal(size=(600, 8)).astype(np.float32)


def read(rows: Any) -> np.ndarray:
    return VECTORS[rows]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("Flät", "a FAISS factory string consists of printable ASCII characters, but is 'Flät'"),
        ("nonsense", "FAISS cannot build 'nonsense' for 8 dimensions: .+"),
        ("HNSW1", "a graph needs at least 2 links a vector, but 'HNSW1' has fewer; use HNSW16"),
    ],
)
def test_invalid_factory_strings_are_refused(spec: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        create_index(spec, 8, "l2")


def test_metrics_are_inner_product_or_l2() -> None:
    products = [create_index("Flat", 8, metric).metric_type for metric in ("cosine", "dot")]
    assert products == [faiss.METRIC_INNER_PRODUCT] * 2
    assert create_index("Flat", 8, "l2").metric_type == faiss.METRIC_L2


@pytest.mark.parametrize("spec", ["Flat", "IVF4,Flat", "HNSW8"])
def test_vectors_are_added_in_blocks_with_progress(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faiss_factory, "ADD_BLOCK", 250)
    index, reports = create_index(spec, 8, "l2"), []
    train(index, spec, len(VECTORS), read)
    fill(index, spec, len(VECTORS), read, lambda event, **n: reports.append((event, n)))
    done = [600] if spec == "HNSW8" else [250, 500, 600]  # a graph is built in one block
    assert reports == [("progress", {"done": n, "total": 600, "unit": "vectors"}) for n in done]
    assert index.ntotal == 600 and index.search(VECTORS[:9], 1)[1][:, 0].tolist() == list(range(9))


def test_more_cells_than_vectors_are_refused() -> None:
    with pytest.raises(SettingsError, match="IVF601,Flat needs at least 601 vectors, but there are 600; use fewer"):
        train(create_index("IVF601,Flat", 8, "l2"), "IVF601,Flat", len(VECTORS), read)


def test_too_few_training_vectors_are_refused() -> None:
    with pytest.raises(
        SettingsError, match=r"4 cells need at least \d+ training vectors, but the memory budget allows 3"
    ):
        train(create_index("IVF4,Flat", 8, "l2"), "IVF4,Flat", len(VECTORS), read, max_training=3)


def test_centroids_are_reproducible_and_can_be_given() -> None:
    def trained(**settings: Any) -> np.ndarray:
        index = create_index("IVF4,Flat", 8, "l2")
        train(index, "IVF4,Flat", len(VECTORS), read, **settings)
        centroids = centroids_of(index)
        assert centroids is not None
        return centroids

    first = trained(seed=1)
    assert np.array_equal(first, trained(seed=1)) and not np.array_equal(first, trained(seed=2))
    given = VECTORS[:4]
    assert np.array_equal(trained(centroids=given), given)
    assert np.array_equal(trained(centroids=np.pad(given, ((0, 0), (0, 5)))), given)
