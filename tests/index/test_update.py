"""Items come, go and get other vectors: searches find what a fresh index of the same vectors finds."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from embedrec.data import Vocab
from embedrec.data.parquet_io import lazy_vocab
from embedrec.data.topk import TopK
from embedrec.errors import DataError, SettingsError, UnknownItemError
from embedrec.index import filtered_search, update
from embedrec.index.construct import construct_index
from embedrec.index.index import Index
from embedrec.index.search_parameters import settings_of_type
from embedrec.index.search_settings import SearchSettings
from embedrec.index.serialization import load_index, save_index
from embedrec.index.update import tombstones
from embedrec.storage import artifacts
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import METRICS
from tests.conftest import read_only, slow_nearest, some_embeddings

D = 4
TYPES = ["Flat", "SQ8", "IVF4,Flat", "IVF4,PQ2x4np", "Pad4,IVF4,PQ2x4fs", "OPQ2_4,IVF4,PQ2x4np", "HNSW8", "SQ8,RFlat"]
MOST = {"nprobe": 99, "ef_search": 999, "rerank": 99}


def these(ids: list[int], vectors: np.ndarray, metric: str = "cosine") -> Embeddings:
    return Embeddings(read_only(vectors.astype(np.float32)), Vocab(np.array(ids)), metric)  # type: ignore[arg-type]


def texts(ids: list[str]) -> Embeddings:
    vectors = np.random.default_rng(len(ids)).normal(size=(len(ids), D)).astype(np.float32)
    return Embeddings(vectors, Vocab(ids, names=np.array([i.upper() for i in ids], dtype=object)), "cosine")


def turned(index: Index, count: int) -> Embeddings:
    """The first items of an index with other vectors."""
    rows = np.arange(count)
    return Embeddings(-index.embeddings.vectors[rows], index.vocab.take(rows), index.metric)


def widest(index: Index) -> SearchSettings:
    able = settings_of_type(index.faiss)
    return SearchSettings(**{name: value for name, value in MOST.items() if name in able})


def named(results: TopK) -> list[list[Any]]:
    return [ids + [None] * (results.k - len(ids)) for ids in results.ids()]


class Life(RuleBasedStateMachine):
    """An index, and a dictionary of what should be in it."""

    kind = "Flat"
    metric = "cosine"

    @initialize(seed=st.integers(0, 9))
    def build(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.next = 40
        vectors = self.rng.normal(size=(40, D)).astype(np.float32)
        self.held = dict(enumerate(vectors))
        self.index = construct_index(these(list(range(40)), vectors, self.metric), self.kind)

    @rule(count=st.integers(1, 9), longer=st.sampled_from([1.0, 1.0, 3.0]))
    def add(self, count: int, longer: float) -> None:
        ids = list(range(self.next, self.next + count))
        vectors = (longer * self.rng.normal(size=(count, D))).astype(np.float32)
        self.next += count
        self.held |= dict(zip(ids, vectors, strict=True))
        self.index = update.add(self.index, these(ids, vectors, self.metric))

    @rule(share=st.sampled_from([0.1, 0.5]))
    def replace(self, share: float) -> None:
        ids = self._some(share)
        vectors = self.rng.normal(size=(len(ids), D)).astype(np.float32)
        self.held |= dict(zip(ids, vectors, strict=True))
        self.index = update.replace(self.index, these(ids, vectors, self.metric))

    @precondition(lambda self: len(self.held) > 25)
    @rule(share=st.sampled_from([0.1, 0.4]))
    def remove(self, share: float) -> None:
        ids = self._some(share)
        for i in ids:
            del self.held[i]
        self.index = update.remove(self.index, ids)

    @rule()
    def compact(self) -> None:
        self.index = update.compact(self.index, seed=1)
        assert tombstones(self.index) == 0 and self.index.rows is None

    def _some(self, share: float) -> list[int]:
        return self.rng.permutation(list(self.held))[: max(1, int(share * len(self.held)))].tolist()

    @invariant()
    def it_finds_what_a_fresh_one_finds(self) -> None:
        if "index" not in self.__dict__:
            return
        fresh = these(list(self.held), np.array(list(self.held.values())), self.metric)
        index = self.index
        assert set(index.vocab.ids.tolist()) == set(self.held) and len(index) == len(self.held)
        for id_, vector in zip(index.vocab.ids.tolist(), index.embeddings.vectors, strict=True):
            assert (vector == self.held[id_]).all()
        queries = self.rng.normal(size=(5, D)).astype(np.float32)
        allowed = self.rng.permutation(len(index))[: self.rng.integers(1, len(index))]
        for some in (None, allowed):
            ids = index.vocab.ids if some is None else index.vocab.ids[some]
            wanted = construct_index(fresh, "Flat").search(queries, 8, allowed=fresh.vocab.rows(ids))
            results = index.search(queries, 8, widest(index), allowed=some)
            np.testing.assert_allclose(results.scores, wanted.scores, rtol=1e-6)
            assert named(results) == named(wanted)
        near = index.neighbours(np.array([0]), 3, widest(index))
        assert index.vocab.id(0) not in near.ids()[0] and (near.rows >= 0).all()


LIVES = [(kind, METRICS[i % 3]) for i, kind in enumerate(TYPES)] + [("IVF4,Flat", "dot")]


@pytest.mark.parametrize(("kind", "metric"), LIVES)
@pytest.mark.parametrize("few", [0, filtered_search.SMALL_COUNT])
def test_any_sequence_of_updates_equals_a_new_index(
    kind: str, metric: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At this size graphs, too, find everything; compressed vectors are all compared exactly."""
    monkeypatch.setattr(filtered_search, "SMALL_COUNT", few)
    monkeypatch.setattr(
        filtered_search, "COMPARED_PER_CANDIDATE", 0 if not few else filtered_search.COMPARED_PER_CANDIDATE
    )
    case = type("Life", (Life,), {"kind": kind, "metric": metric}).TestCase  # type: ignore[attr-defined]
    case.settings = settings(max_examples=8, stateful_step_count=7, deadline=None, derandomize=True)
    case("runTest").runTest()


@pytest.mark.parametrize(("kind", "stones"), [("Flat", 0), ("IVF4,Flat", 0), ("HNSW8", 30), ("SQ8,RFlat", 30)])
def test_removed_vectors_are_tombstones_if_faiss_cannot_remove(kind: str, stones: int) -> None:
    index = construct_index(some_embeddings(100, D), kind)
    gone = update.remove(index, [f"i{r}" for r in range(30)])
    assert tombstones(gone) == stones and len(gone) == 70
    assert tombstones(update.replace(gone, turned(gone, 5))) == stones + (5 if stones else 0)
    assert tombstones(update.compact(gone)) == 0
    assert len(index) == 100 and index.rows is None  # as it was
    assert index.search(index.embeddings.vectors[:30], 1).rows[:, 0].tolist() == list(range(30))


@pytest.mark.parametrize("kind", TYPES)
def test_an_updated_index_is_saved_and_loaded(kind: str, tmp_path: Path) -> None:
    index = update.add(update.remove(construct_index(some_embeddings(60, D), kind), ["i3", "i50"]), texts(["x", "y"]))
    index = update.replace(index, turned(index, 4))
    save_index(index, tmp_path / "x", {})
    loaded = load_index(artifacts.read(tmp_path / "x", "index"))
    queries = index.embeddings.vectors
    for allowed in (None, np.arange(0, 60, 2)):
        a, b = (one.search(queries, 7, widest(index), allowed=allowed) for one in (index, loaded))
        assert (a.rows == b.rows).all() and (a.scores == b.scores).all()
    again = update.add(update.remove(loaded, ["x"]), texts(["z"]))  # what is mapped from disk can be changed too
    wanted = slow_nearest(again.embeddings.vectors, queries[9], "cosine", 5)
    assert again.search(queries[9:10], 5, widest(index)).rows[0].tolist() == wanted


def test_an_open_index_is_unchanged_when_its_folder_is_replaced(tmp_path: Path) -> None:
    """Files of an index are mapped, also the ids that were not read yet when the folder was replaced."""
    save_index(construct_index(some_embeddings(500, D), "IVF4,Flat"), tmp_path / "x", {})
    later, old = lazy_vocab(tmp_path / "x" / "vocab.parquet"), load_index(artifacts.read(tmp_path / "x"))
    before = old.search(old.embeddings.vectors, 5)
    failed: list[Any] = []

    def search() -> None:
        for _ in range(20):
            results = old.search(old.embeddings.vectors, 5)
            if not (results.rows == before.rows).all():
                failed.append(results)

    thread = threading.Thread(target=search)
    thread.start()
    save_index(update.remove(old, [f"i{r}" for r in range(250)]), tmp_path / "x", {})
    thread.join()
    assert not failed and len(load_index(artifacts.read(tmp_path / "x"))) == 250
    assert len(later) == 500 and later.id(3) == "i3"


def test_added_items_have_names_and_count_0() -> None:
    index = update.add(construct_index(some_embeddings(50, D), "Flat"), texts(["x"]))
    assert index.vocab.names is not None and index.vocab.counts is not None
    assert (index.vocab.name(3), index.vocab.name(50)) == ("", "X")
    assert index.vocab.counts.tolist() == [*range(50, 0, -1), 0]


def test_added_vectors_longer_than_all_others_are_found() -> None:
    """Augmented vectors are divided by the longest norm there is."""
    index = construct_index(some_embeddings(200, D, "dot"), "IVF4,Flat")
    ids = [f"x{i}" for i in range(D)]
    more = update.add(index, Embeddings(100 * np.eye(D, dtype=np.float32), Vocab(ids), "dot"))
    assert more.max_norm == 100 and index.max_norm < 100
    results = more.search(np.eye(D, dtype=np.float32), 1, SearchSettings(nprobe=1))
    assert results.rows[:, 0].tolist() == [200, 201, 202, 203]
    assert update.remove(more, ids).max_norm == 100  # what is left is still divided by it


@pytest.mark.parametrize("kind", ["Flat", "IVF4,Flat", "HNSW8"])
def test_wrong_updates_are_refused(kind: str) -> None:
    index = construct_index(some_embeddings(60, D), kind)
    for change, error, message in (
        (
            lambda: update.add(index, turned(index, 4)),
            DataError,
            r"4 ids \('i0', 'i1', 'i2' …\) are in the index already",
        ),
        (
            lambda: update.add(index, some_embeddings(3, D + 1)),
            SettingsError,
            "has 4 dimensions, but these vectors have 5",
        ),
        (
            lambda: update.add(index, these([1], np.ones((1, D)))),
            DataError,
            "ids of the index are strings, but those of ",
        ),
        (lambda: update.replace(index, texts(["x"])), UnknownItemError, r"1 ids \('x'\) are not in the index"),
        (
            lambda: update.remove(index, ["i1", "y"]),
            UnknownItemError,
            r"1 ids \('y'\) are not in the index; leave them out",
        ),
        (
            lambda: update.remove(index, index.vocab.ids.tolist()),
            SettingsError,
            "these are all 60 items of the index; keep at least one",
        ),
    ):
        with pytest.raises(error, match=message):
            change()
    if kind.startswith("IVF"):
        with pytest.raises(SettingsError, match="IVF4,Flat needs at least 4 vectors, but there are 3"):
            update.compact(update.remove(index, index.vocab.ids[3:].tolist()))
