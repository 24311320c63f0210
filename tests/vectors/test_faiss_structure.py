"""Parts of FAISS indexes, and work that threads share."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from embedrec.vectors.faiss_factory import create_index, fill, train
from embedrec.vectors.faiss_structure import (
    apply_transforms,
    below_transforms,
    centroids_of,
    innermost,
    map_index,
    run_parallel,
    transforms,
)

VECTORS = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)


def filled(spec: str) -> faiss.Index:
    index: faiss.Index = create_index(spec, 8, "l2")
    train(index, spec, len(VECTORS), lambda rows: VECTORS[rows])
    fill(index, spec, len(VECTORS), lambda rows: VECTORS[rows])
    return index


@pytest.mark.parametrize(
    ("spec", "below", "deepest", "count"),
    [
        ("Flat", faiss.IndexFlat, faiss.IndexFlat, 0),
        ("PCA4,Flat", faiss.IndexFlat, faiss.IndexFlat, 1),
        ("PCA4,IVF4,SQ8,RFlat", faiss.IndexRefine, faiss.IndexIVF, 0),
        ("IVF4,SQ8,RFlat", faiss.IndexRefine, faiss.IndexIVF, 0),
    ],
)
def test_the_parts_of_an_index_are_found(spec: str, below: type, deepest: type, count: int) -> None:
    index = filled(spec)
    assert isinstance(below_transforms(index), below) and isinstance(innermost(index), deepest)
    assert len(transforms(index)) == count


def test_transformed_vectors_are_those_of_the_innermost_index() -> None:
    index = filled("PCA4,Flat")
    np.testing.assert_allclose(apply_transforms(index, VECTORS), innermost(index).reconstruct_n(0, len(VECTORS)))
    assert apply_transforms(filled("Flat"), VECTORS) is VECTORS


def test_centroids_are_those_of_the_quantizer() -> None:
    centroids = centroids_of(filled("IVF4,Flat"))
    assert centroids is not None and centroids.shape == (4, 8)
    assert centroids_of(filled("Flat")) is None and centroids_of(filled("IVF8_HNSW4,Flat")) is None


def test_a_mapped_index_has_the_same_results(tmp_path: Path) -> None:
    index = filled("IVF4,Flat")
    faiss.write_index(index, str(tmp_path / "x.faiss"))
    mapped = map_index(tmp_path / "x.faiss")
    for ours, theirs in zip(mapped.search(VECTORS[:5], 3), index.search(VECTORS[:5], 3), strict=True):
        assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize("count", [0, 1, 7, 100])
def test_parallel_slices_cover_all_queries_once(count: int) -> None:
    done = np.zeros(count, dtype=np.int64)

    def work(part: slice) -> None:
        done[part] += 1

    run_parallel(count, work)
    assert done.tolist() == [1] * count
