from __future__ import annotations

import faiss
import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.data.topk import TopK, sort_results
from embedrec.errors import SettingsError
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.exact_results import score_keys
from embedrec.index.index_types import INDEXES, POINTS_PER_CELL, factory_string
from embedrec.index.measure import Recall, sample_items
from embedrec.index.search_settings import SearchSettings
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import METRICS
from tests.conftest import some_embeddings


@pytest.mark.parametrize("type_", list(INDEXES))
@pytest.mark.parametrize(
    ("n", "metric"), [(1, "dot"), (2, "cosine"), (39, "l2"), (623, "dot"), (624, "cosine"), (625, "dot"), (2000, "l2")]
)
def test_faiss_has_nothing_to_say(type_: str, metric: str, n: int, capfd: pytest.CaptureFixture[str]) -> None:
    """Named types fit their number of vectors, so that nothing is warned about on stderr."""
    index = build_index(some_embeddings(n, 5, metric, spread=0.5), type_)
    index.search(index.embeddings.vectors[:2], 1)
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
    assert index.measurements["recall@20"] >= 0.99


@pytest.mark.parametrize(
    ("n", "spec"),
    [(1, "IVF1"), (38, "IVF1"), (39, "IVF1"), (100, "IVF2"), (5000, "IVF128"), (10**5, "IVF1264"), (10**6, "IVF4000")],
)
def test_cells_grow_with_the_root(n: int, spec: str) -> None:
    assert factory_string("ivf", n, 64) == f"{spec},Flat"
    assert n < POINTS_PER_CELL or n // int(spec[3:]) >= POINTS_PER_CELL


def test_types_that_there_are() -> None:
    assert factory_string("flat", 10, 64) == "Flat"
    assert factory_string("OPQ16_64,IVF4096,PQ16x4fsr", 10, 64) == "OPQ16_64,IVF4096,PQ16x4fsr"
    for kind, says in (
        ("ivff", "no index type is called 'ivff'; did you mean 'ivf'"),
        ("lsh", "there are flat, ivf, ivf-sq8, ivfpq, opq, fastscan, hnsw, hnsw-sq8, auto and FAISS"),
        ("", "no index type is called ''"),
    ):
        with pytest.raises(SettingsError, match=says):
            factory_string(kind, 10, 64)


@pytest.mark.parametrize(
    ("kind", "n", "says"),
    [
        ("I\udcff", 50, "a factory string of FAISS is of letters, digits and signs, but is 'I"),
        ("Nonsense", 50, "FAISS cannot build 'Nonsense' for 8 dimensions"),
        ("IVF8,Nonsense", 50, "FAISS cannot build 'IVF8,Nonsense'"),
        ("PQ3", 50, "FAISS cannot build 'PQ3'"),  # 8 dimensions are not 3 equal parts
        ("PQ4", 50, "FAISS cannot build 'PQ4' for 50 vectors of 8 dimensions"),  # 256 centroids need 256 vectors
        ("IVF51,Flat", 50, "IVF51,Flat needs at least 51 vectors, but there are 50"),
        ("flat", 0, "there are no vectors to index"),
    ],
)
def test_types_that_cannot_be_built(kind: str, n: int, says: str) -> None:
    with pytest.raises(SettingsError) as said:
        build_index(some_embeddings(n), kind)
    assert says in str(said.value)
    assert "\n" not in str(said.value)


def test_as_many_cells_as_vectors() -> None:
    assert build_index(some_embeddings(50), "IVF50,Flat").measurements["recall@20"] >= 0.99


def test_cells_that_are_visited() -> None:
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


@pytest.mark.parametrize("name", ["nprobe", "ef_search", "rerank"])
def test_settings_below_one(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} must be at least 1, but is 0"):
        SearchSettings(**{name: 0})


@pytest.mark.parametrize(("kind", "name"), [("ivf", "nprobe"), ("hnsw", "ef_search"), ("ivf-sq8", "rerank")])
@pytest.mark.parametrize("count", [1, 9])
def test_settings_beyond_what_an_index_holds(kind: str, name: str, count: int) -> None:
    """They are those of all of it: FAISS has them as an int."""
    index = build_index(some_embeddings(80, 8), kind)
    queries = index.embeddings.vectors[:count]
    exact = index.embeddings.search(queries, 5)
    for value in (80, 2**31 - 1, 2**31, 2**62):
        found = index.search(
            queries, 5, SearchSettings(**{"nprobe": 80, name: value} if kind != "hnsw" else {name: value})
        )
        np.testing.assert_array_equal(found.rows, exact.rows)


def test_settings_over_others() -> None:
    ours, theirs = SearchSettings(nprobe=3), SearchSettings(nprobe=1, rerank=4)
    assert ours.over(theirs) == SearchSettings(nprobe=3, rerank=4)
    assert ours.numbers() == {"nprobe": 3}


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
def test_factory_strings_are_tuned_as_names_are(kind: str, settings: set[str]) -> None:
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
def test_a_graph_of_one_link(kind: str) -> None:
    """FAISS crashes when a vector is added to it."""
    with pytest.raises(SettingsError, match="a graph needs 2 links a vector at least"):
        build_index(some_embeddings(200), kind)


def test_missing_results_are_padded() -> None:
    """One cell does not hold as many as were asked for; a search goes on until it has them."""
    index = build_index(some_embeddings(60), "IVF30,Flat", BuildSettings(search=SearchSettings(nprobe=1)))
    found = index.search_once(index.embeddings.vectors, 60, SearchSettings(nprobe=1))
    assert found.rows.shape == (60, 60)
    missing = found.rows < 0
    assert missing.any(axis=1).all()
    assert (found.rows[missing] == -1).all() and np.isneginf(found.scores[missing]).all()
    assert (np.sort(missing, axis=1) == missing).all()  # they come last
    whole = index.search(index.embeddings.vectors, 60)
    assert (np.sort(whole.rows, axis=1) == np.arange(60)).all()
    near = index.neighbours(np.arange(60), 59)
    assert near.rows.shape == (60, 59) and (near.rows >= 0).all()
    assert not (near.rows == np.arange(60)[:, None]).any()


@pytest.mark.parametrize("spread", [0.0, 2.0, 5.0])
def test_dot_products_of_vectors_that_differ_wildly_in_length(spread: float) -> None:
    """Cells must find what inner products find though lengths differ by 10¹⁵, and queries are tiny or huge."""
    embeddings = some_embeddings(1000, 8, "dot", spread=spread)
    index = build_index(embeddings, "ivf")
    assert index.augmented and index.measurements["recall@20"] >= 0.99
    queries = np.random.default_rng(1).normal(size=(50, 8)).astype(np.float32)
    exact = embeddings.search(queries, 10)
    for scale in (1e-10, 1.0, 1e10):
        found = index.search(queries * np.float32(scale), 10, SearchSettings(nprobe=index.faiss.nlist))
        assert Recall.of(found, embeddings.search(queries * np.float32(scale), 10)).mean == 1
        np.testing.assert_allclose(found.scores, exact.scores * scale, rtol=1e-4)


def test_only_cells_need_augmented_vectors() -> None:
    augmented = {(t, m): build_index(some_embeddings(50, metric=m), t).augmented for t in INDEXES for m in METRICS}
    cells = {"ivf", "ivf-sq8", "ivfpq", "opq", "fastscan"}
    assert {key for key, value in augmented.items() if value} == {(t, "dot") for t in cells}
    assert build_index(some_embeddings(50, metric="dot"), "PCA4,IVF2,Flat").augmented
    assert not build_index(some_embeddings(50, metric="dot"), "HNSW16").augmented


def test_parts_that_must_be_equal_are_padded_when_vectors_are_augmented() -> None:
    assert build_index(some_embeddings(700, 8, "dot"), "IVF4,PQ4x4np").spec == "Pad12,IVF4,PQ4x4np"
    assert build_index(some_embeddings(700, 8, "l2"), "IVF4,PQ4x4np").spec == "IVF4,PQ4x4np"


@pytest.mark.parametrize("seed", [0, 2**31 - 1, 2**31, 2**63])
def test_seeds_of_any_size(seed: int) -> None:
    assert build_index(some_embeddings(50), "ivf", BuildSettings(seed=seed)).measurements["recall@20"] == 1


def test_recall() -> None:
    vocab = Vocab(np.arange(9))

    of_rows = np.array([[9, 8, 7, 6, 5, 4, 3, 2, 1], [0, 0, 0, 0, 0, 6, 7, 8, 9]])  # what each query gives each row

    def answer(*rows: list[int]) -> TopK:
        scores = [[of_rows[q, r] if r >= 0 else -np.inf for r in row] for q, row in enumerate(rows)]
        return sort_results(np.array(rows), np.array(scores), vocab)

    exact = answer([0, 1, 2, 3], [8, 7, 6, -1])
    assert Recall.of(exact, exact) == Recall(1, 1)
    assert Recall.of(answer([3, 2, 1, 0], [6, 7, 8, -1]), exact).mean == 1
    assert Recall.of(answer([0, 1, 8, 7], [-1, -1, -1, -1]), exact).mean == 2 / 7
    assert Recall.of(answer([8, 7, 6, 5], [0, 1, 2, 3]), exact).mean == 0  # another query's do not count


def test_the_lower_end_of_recall() -> None:
    """Against its meaning: of many samples, about 95 of 100 have their end below the recall of all."""
    rng = np.random.default_rng(0)
    everyone = rng.random((5000, 20)) < rng.beta(20, 1, size=(5000, 1))  # what each of all queries finds
    wanted = np.ones_like(everyone)
    below = 0
    for _ in range(400):
        some = rng.choice(5000, 500, replace=False)
        below += Recall.of_hits(everyone[some], wanted[some], 5000).low <= everyone.mean()
    assert 0.92 <= below / 400 <= 0.98
    assert Recall.of_hits(everyone, wanted, 5000) == Recall(
        everyone.mean(), everyone.mean()
    )  # nothing is left to chance


def test_what_faiss_does_is_not_changed_for_others() -> None:
    threads = faiss.omp_get_max_threads()
    build_index(some_embeddings(200), "ivf")
    assert faiss.omp_get_max_threads() == threads


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    build_index(some_embeddings(70), "flat", report=lambda event, **n: told.append((event, n["done"], n["total"])))
    assert told == [("progress", 70, 70)]


def test_arguments_are_not_written_into() -> None:
    vectors = some_embeddings(100, metric="cosine").vectors
    before = vectors.copy()
    index = build_index(Embeddings(vectors, Vocab(np.arange(100))), "ivf")
    index.search(vectors, 3)
    assert not vectors.flags.writeable and (vectors == before).all()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("size", [1.0, 1e-12])
def test_recall_where_vectors_are_equal(metric: str, size: float) -> None:
    """Among equal vectors any is right: what is measured is the share of results that are as near as the exact ones."""
    vectors = np.repeat(np.random.default_rng(3).normal(size=(10, 8)) * size, 40, axis=0).astype(np.float32)
    given = Embeddings(vectors, Vocab(np.arange(400)), metric)  # type: ignore[arg-type]
    index = build_index(given, "IVF10,Flat", BuildSettings(search=SearchSettings(nprobe=10)))
    asked = sample_items(given, 1, 100)
    assert asked.recall_of(index) == Recall(1, 1)
    among = index.search(vectors[::40], 20, allowed=np.arange(400) % 2 == 1)  # others than the lowest rows
    assert Recall.of(among, given.search(vectors[::40], 20)).mean == 1
    worse = sort_results((asked.exact.rows + 40) % 400, asked.exact.scores - 1, given.vocab)
    assert Recall.of(worse, asked.exact).mean == 0


def test_recall_of_tiny_vectors_is_of_their_order() -> None:
    """Squared distances of 1e-60 are 0 in float32, but not all are as near."""
    vectors = (np.random.default_rng(0).normal(size=(300, 6)) * 1e-30).astype(np.float32)
    given = Embeddings(vectors, Vocab(np.arange(300)), "l2")
    asked = sample_items(given, 0, 50, 10)
    assert asked.recall_of(build_index(given, "flat")) == Recall(1, 1)
    keys = score_keys(vectors, asked.queries, (asked.exact.rows + 150) % 300, "l2")
    assert asked.recall_of_keys(keys, asked.least(given)).mean < 0.2


def test_recall_of_graphs_is_that_of_large_and_small_batches() -> None:
    """Among many equal vectors a walk through a graph may end in another group, in large or in small batches."""
    vectors = np.repeat(np.random.default_rng(3).normal(size=(20, 16)), 200, axis=0).astype(np.float32)
    given = Embeddings(vectors, Vocab(np.arange(4000)), "cosine")
    index = build_index(given, "hnsw")
    index.search(np.tile(vectors, (2, 1)), 1)  # loads the compiled walk
    assert index.uses_graph_batch(4000) and not index.uses_graph_batch(63)
    asked = sample_items(given, 0)
    for ef in (16, 64, int(index.settings.candidates)):
        settings = SearchSettings(ef_search=ef)
        whole = index.search_once(vectors, 21, settings)
        parts = [index.search_once(vectors[start : start + 63], 21, settings) for start in range(0, 4000, 63)]
        shares = [float((found >= 1 - 1e-6).mean()) for found in (whole.scores, np.vstack([p.scores for p in parts]))]
        recall = asked.recall_of(index, settings, once=True).mean
        assert recall <= min(shares) + 0.025, (ef, recall, shares)
    assert index.measurements["recall@20"] >= 0.99
