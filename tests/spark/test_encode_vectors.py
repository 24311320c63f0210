"""Indexes whose vectors were encoded by executors have the bytes of indexes of one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.errors import ArtifactError, DataError, SettingsError
from embedrec.index.construct import construct_index
from embedrec.index.on_disk_ivf import BlockEncoder
from embedrec.models.imported import Vectors
from embedrec.models.serialization import save_model
from embedrec.spark import encode_vectors
from embedrec.spark.encode_vectors import EncodedParts
from embedrec.spark.session import SparkSettings
from embedrec.spark.written_parts import open_parts, write_arrays
from embedrec.storage import artifacts
from embedrec.workflows.build_index import IndexSettings, OpenVectors, build_index_artifact
from tests.conftest import some_embeddings


def test_codes_of_any_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cells, codes = rng.integers(0, 9, 25).astype(np.int32), rng.integers(0, 256, (25, 3)).astype(np.uint8)
    results = [
        write_arrays(tmp_path, part, [cells[start : start + 10], codes[start : start + 10]])
        for part, start in enumerate((0, 10, 20))
    ]
    encoded = EncodedParts(open_parts(tmp_path, results), 10, 25, 3)
    assert encoded.cells().tolist() == cells.tolist()
    for first, last in ((0, 25), (10, 20), (3, 4), (9, 21), (24, 25)):
        assert encoded.codes(first, cells[first:last]).tolist() == codes[first:last].tolist()


def test_blocks_of_an_encoder_add_up() -> None:
    embeddings = some_embeddings(300, 8, "l2")
    index = construct_index(embeddings, "IVF4,SQ8").faiss
    encoder = BlockEncoder(index, 300, lambda rows: embeddings.vectors[rows], 64)
    cells = encoder.cells()
    assert np.concatenate([encoder.cells_of(0, 128), encoder.cells_of(128, 300)]).tolist() == cells.tolist()


@pytest.mark.spark
@pytest.mark.parametrize(("kind", "metric"), [("IVF8,Flat", "cosine"), ("IVF8,SQ8", "dot"), ("IVF4,PQ4x4np", "l2")])
def test_indexes_have_the_same_bytes(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, metric: str
) -> None:
    monkeypatch.setattr(encode_vectors, "TASK_VECTORS", 1)  # one block a task
    monkeypatch.setattr("embedrec.index.on_disk_ivf.ADD_BLOCK", 700)
    embeddings = some_embeddings(3000, 8, metric, spread=0.3)
    folder = tmp_path / "models" / "vectors"
    save_model(
        Vectors(metric=embeddings.metric).from_arrays(embeddings.vocab, {"items": embeddings.vectors}), folder, {}
    )
    source, files = artifacts.read(folder, "model"), []
    for engine in (None, SparkSettings()):
        target = tmp_path / "indexes" / f"{engine is None}"
        with monkeypatch.context() as patch:
            patch.setattr("embedrec.index.on_disk_ivf.MEMORY_PARTS", 1 << 16)  # does not fit into the memory
            done = build_index_artifact(source, target, IndexSettings(kind, memory=1 << 30), spark=engine)
        files.append((target / "index.faiss").read_bytes())
        assert done.about["items"] == 3000
    assert files[0] == files[1]
    assert sorted(path.name for path in (tmp_path / "indexes").iterdir()) == ["False", "True"]


@pytest.mark.spark
def test_what_is_not_built_on_spark(spark: Any, tmp_path: Path) -> None:
    embeddings = some_embeddings(50, 8)
    save_model(Vectors().from_arrays(embeddings.vocab, {"items": embeddings.vectors}), tmp_path / "models" / "v", {})
    source = artifacts.read(tmp_path / "models" / "v", "model")
    cases = [
        (IndexSettings("auto"), r"^the engine spark builds one index; name its --type, and leave targets out$"),
        (IndexSettings("ivf", of="sessions"), r"^the engine spark indexes items and answers, not sessions; leave"),
        (
            IndexSettings("HNSW8"),
            r"^HNSW8 is built by one machine; choose ivf, ivf-sq8 or ivfpq, or leave --engine",
        ),
    ]
    for settings, message in cases:
        with pytest.raises(SettingsError, match=message):
            build_index_artifact(source, tmp_path / "indexes" / "i", settings, spark=SparkSettings())
    with pytest.raises(ArtifactError, match=r"^model v was replaced while it was indexed; build the index again$"):
        OpenVectors(source.folder, "another", IndexSettings("ivf"))(False, 0.0)


def test_a_part_that_is_missing_is_no_smaller_index(tmp_path: Path) -> None:
    results = [write_arrays(tmp_path, part, [np.zeros(4, dtype=np.int32)]) for part in range(2)]
    (tmp_path / results[1]["name"]).unlink()
    with pytest.raises(DataError, match=r"of part 1 in .* is missing; run the command again"):
        open_parts(tmp_path, results)
