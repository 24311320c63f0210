"""Indexes as they are built: what FAISS accepts, tuned settings, seeds."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from embedrec.errors import SettingsError
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.index_types import INDEXES
from embedrec.index.measure import Recall
from embedrec.index.search_settings import SearchSettings
from tests.conftest import some_embeddings


@pytest.mark.parametrize("type_", list(INDEXES))
@pytest.mark.parametrize(
    ("n", "metric"), [(1, "dot"), (2, "cosine"), (39, "l2"), (623, "dot"), (624, "cosine"), (625, "dot"), (2000, "l2")]
)
def test_faiss_writes_no_warning(type_: str, metric: str, n: int, capfd: pytest.CaptureFixture[str]) -> None:
    """Named types fit their number of vectors, so that nothing is warned about on stderr."""
    index = build_index(some_embeddings(n, 5, metric, spread=0.5), type_)
    index.search(index.embeddings.vectors[:2], 1)
    output = capfd.readouterr()
    assert (output.out, output.err) == ("", "")
    assert index.measurements["recall@20"] >= 0.99


@pytest.mark.parametrize(
    ("kind", "n", "message"),
    [
        ("I\udcff", 50, "a FAISS factory string consists of printable ASCII characters, but is 'I"),
        ("Nonsense", 50, "FAISS cannot build 'Nonsense' for 8 dimensions"),
        ("IVF8,Nonsense", 50, "FAISS cannot build 'IVF8,Nonsense'"),
        ("PQ3", 50, "FAISS cannot build 'PQ3'"),  # 8 dimensions are not 3 equal parts
        ("PQ4", 50, "FAISS cannot build 'PQ4' for 50 vectors of 8 dimensions"),  # 256 centroids need 256 vectors
        ("IVF51,Flat", 50, "IVF51,Flat needs at least 51 vectors, but there are 50"),
        ("flat", 0, "there are no vectors to index"),
    ],
)
def test_types_that_cannot_be_built_are_refused(kind: str, n: int, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        build_index(some_embeddings(n), kind)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_index_may_have_as_many_cells_as_vectors() -> None:
    assert build_index(some_embeddings(50), "IVF50,Flat").measurements["recall@20"] >= 0.99


def test_nprobe_is_tuned_unless_given() -> None:
    embeddings = some_embeddings(2000, 8)
    tuned = build_index(embeddings, "IVF64,Flat")
    nprobe = tuned.settings.nprobe
    assert nprobe is not None and tuned.measurements["recall_low"] >= 0.99 and 1 < nprobe <= 64
    given = build_index(embeddings, "IVF64,Flat", BuildSettings(search=SearchSettings(nprobe=2)))
    assert given.settings == SearchSettings(nprobe=2)
    assert given.measurements["recall@20"] < tuned.measurements["recall@20"]
    rows = np.arange(100)
    for nprobe in (1, 64, 1000):  # an argument of the search, not a state of the index
        one = given.neighbours(rows, 5, SearchSettings(nprobe=nprobe))
        two = tuned.neighbours(rows, 5, SearchSettings(nprobe=nprobe))
        assert (one.rows == two.rows).all()
    assert given.settings == SearchSettings(nprobe=2)
    with pytest.raises(SettingsError, match="nprobe is a setting of IVF indexes, but this index is Flat; leave it out"):
        build_index(embeddings, "flat", BuildSettings(search=SearchSettings(nprobe=4)))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("OPQ4_8,IVF16,PQ4x4np", {"nprobe", "rerank"}),
        ("PCA6,IVF16,Flat", {"nprobe", "rerank"}),
        ("IVF16,PQ4x4fs,RFlat", {"nprobe", "rerank"}),
        ("IVF16_HNSW8,Flat", {"nprobe"}),
        ("HNSW8_SQ8", {"ef_search", "rerank"}),
        ("PQ4x4np", {"rerank"}),
    ],
)
def test_settings_of_factory_strings_are_tuned(kind: str, settings: set[str]) -> None:
    """More of any of their settings finds more, also below transforms and refinements."""
    embeddings = some_embeddings(1000, 8)
    tuned = build_index(embeddings, kind)
    assert tuned.settings.numbers().keys() == settings
    assert tuned.measurements["recall_low"] >= 0.98
    rows = np.arange(1000)
    exact = embeddings.search(embeddings.vectors, 11).without(rows)
    for name in settings & {"nprobe", "rerank"}:
        less = tuned.neighbours(rows, 10, SearchSettings(**{name: 1}))
        assert Recall.of(less, exact).mean <= Recall.of(tuned.neighbours(rows, 10), exact).mean


@pytest.mark.parametrize("kind", ["HNSW1", "HNSW1_SQ8", "IVF4_HNSW1,Flat", "PCA4,HNSW1"])
def test_a_graph_of_one_link_is_refused(kind: str) -> None:
    """FAISS crashes when a vector is added to it."""
    with pytest.raises(SettingsError, match="a graph needs at least 2 links a vector"):
        build_index(some_embeddings(200), kind)


@pytest.mark.parametrize("seed", [0, 2**31 - 1, 2**31, 2**63])
def test_seeds_of_any_size_are_accepted(seed: int) -> None:
    assert build_index(some_embeddings(50), "ivf", BuildSettings(seed=seed)).measurements["recall@20"] == 1


def test_building_restores_the_number_of_faiss_threads() -> None:
    threads = faiss.omp_get_max_threads()
    build_index(some_embeddings(200), "ivf")
    assert faiss.omp_get_max_threads() == threads
