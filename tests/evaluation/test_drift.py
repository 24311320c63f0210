"""Drift: items, vectors, lists and popularity of two versions, against slow references."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.data.topk import TopK
from embedrec.errors import SettingsError
from embedrec.evaluation import drift as module
from embedrec.evaluation.drift import CommonItems, item_drift, paired_cosines, popularity_shift, result_drift
from embedrec.vectors.embeddings import Embeddings
from tests.conftest import read_only


@dataclass(frozen=True)
class Exact:
    """Exact neighbours of vectors."""

    vectors: Embeddings

    @property
    def vocab(self) -> Vocab:
        return self.vectors.vocab

    def neighbours(self, rows: np.ndarray, k: int) -> TopK:
        return self.vectors.search(self.vectors.vectors[rows], k + 1).without(rows)


def random_source(ids: list[Any], seed: int, dim: int = 4) -> Exact:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 50, len(ids))
    vectors = rng.normal(size=(len(ids), dim)).astype(np.float32)
    return Exact(Embeddings(read_only(vectors), Vocab(ids, counts=read_only(counts)), "cosine"))


def slow_lists(source: Exact, k: int) -> dict[Any, list[Any]]:
    """Item → the ids of its k nearest others."""
    vectors = source.vectors.vectors.astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    ids = source.vocab.ids.tolist()
    return {
        one: [ids[j] for j in np.argsort(-(vectors @ vectors[i]), kind="stable") if j != i][:k]
        for i, one in enumerate(ids)
    }


@given(st.lists(st.sampled_from("abcdefghijkl"), min_size=3, max_size=9, unique=True), st.integers(0, 9))
def test_numbers_equal_those_of_a_slow_reference(new_ids: list[str], seed: int) -> None:
    old, new = random_source(list("abcdefgh"), seed), random_source(new_ids, seed + 1)
    common = [i for i in old.vocab.ids.tolist() if i in new_ids]
    if not common:
        with pytest.raises(SettingsError, match="the versions have no item in common"):
            item_drift(old, new)
        return
    drift = item_drift(old, new, counts=(old.vocab.counts, new.vocab.counts), k=3)
    k = min(3, len(new_ids) - 1)
    lists = slow_lists(old, k), slow_lists(new, k)
    overlap = np.mean([len(set(lists[0][i]) & set(lists[1][i])) / k for i in common])
    figures = drift.figures()
    assert figures["items"] == (8, len(new_ids))
    assert figures["items gone"] == 8 - len(common) and figures["items new"] == len(new_ids) - len(common)
    assert (drift.k, drift.compared) == (k, len(common))
    assert drift.overlap == pytest.approx(overlap)
    assert figures["lists unchanged"] == sum(lists[0][i] == lists[1][i] for i in common)
    for side, source in enumerate((old, new)):
        listed = [j for i in common for j in lists[side][i]]
        assert drift.coverage[side] == pytest.approx(len(set(listed)) / len(source.vocab))
        counts = {**dict(zip(old.vocab.ids, old.vocab.counts, strict=True)), **dict(zip(new.vocab.ids, new.vocab.counts, strict=True))}  # type: ignore[arg-type]  # fmt: skip  # noqa: E501
        share = {item: count / max(counts.values()) for item, count in counts.items()}
        assert drift.popularity is not None
        assert drift.popularity[side] == pytest.approx(np.mean([share[j] for j in listed]))
    angles = []
    for item in common:
        a, b = (one.vectors.vectors[one.vocab.rows([item])[0]].astype(np.float64) for one in (old, new))
        angles.append(float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
    assert np.sort(drift.cosines) == pytest.approx(np.sort(angles), abs=1e-6)
    assert figures["median cosine"] == pytest.approx(np.median(angles), abs=1e-6)


def test_a_version_is_like_itself() -> None:
    source = random_source(list("abcdef"), 0)
    drift = item_drift(source, source, counts=(source.vocab.counts, source.vocab.counts), k=3)
    figures = drift.figures()
    assert (drift.overlap, figures["rank-biased overlap"], figures["lists unchanged"]) == (1, pytest.approx(1), 6)
    assert (figures["median cosine"], figures["10th percentile of cosines"]) == pytest.approx((1, 1))
    assert figures["shift of popularity"] == 0 and drift.difference.worst == []


def test_the_most_frequent_items_are_compared_where_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEWEST_ITEMS", 2)
    monkeypatch.setattr(module, "WORK", 1)
    source = random_source(list("abcdef"), 0)
    counts = np.array([1, 9, 2, 8, 3, 4])
    asked = []
    spied = Exact(source.vectors)
    object.__setattr__(spied, "neighbours", lambda rows, k: asked.append(rows.tolist()) or source.neighbours(rows, k))
    drift = item_drift(spied, source, counts=(None, counts), k=2)
    assert asked == [[1, 3]] and drift.shift is None
    assert drift.messages == ["the 2 most frequent of the 6 items in both are compared"]


def test_vectors_of_other_dimensions_or_spaces_are_not_compared() -> None:
    old, new = random_source(list("abc"), 0), random_source(list("abc"), 1, dim=5)
    assert not len(item_drift(old, new).cosines)
    assert "median cosine" not in item_drift(old, old, same_space=False).figures()


def test_zero_vectors_have_no_cosine() -> None:
    vectors = np.array([[1, 0], [0, 0], [0, 2]], np.float32)
    one = Embeddings(vectors, Vocab(list("abc")), "dot")
    assert paired_cosines(one, one, CommonItems.of(one.vocab, one.vocab)).tolist() == [1, 1]


def test_integer_ids_and_their_texts_are_the_same_items() -> None:
    items = CommonItems.of(Vocab([3, 1, 2]), Vocab(["2", "x", "3"]))
    assert items.old_rows.tolist() == [0, 2] and items.new_rows.tolist() == [2, 0]
    assert (items.gone.tolist(), items.added.tolist()) == ([1], [1])
    assert items.ids() == ["3", "1", "2", "x"]
    of_old, of_new = items.codes()
    assert (of_old.tolist(), of_new.tolist()) == ([0, 1, 2], [2, 3, 0])


@given(st.lists(st.integers(0, 9), min_size=3, max_size=3), st.lists(st.integers(0, 9), min_size=3, max_size=3))
def test_the_shift_of_popularity_is_a_distance(a: list[int], b: list[int]) -> None:
    items = CommonItems.of(Vocab(list("abc")), Vocab(list("bcd")))
    shares = [{i: c / (sum(x) or 1) for i, c in zip(n, x, strict=True)} for n, x in (("abc", a), ("bcd", b))]
    expected = sum(abs(shares[0].get(i, 0) - shares[1].get(i, 0)) for i in "abcd") / 2
    assert popularity_shift(items, np.array(a), np.array(b)) == pytest.approx(expected)


def test_results_of_the_same_queries_are_compared() -> None:
    old = TopK([[0, 1], [1, -1]], [[2, 1], [1, -np.inf]], Vocab(list("ab")))
    new = TopK([[2, 0], [1, 0]], [[2, 1], [2, 1]], Vocab(list("bac")))
    drift = result_drift(old, new)
    assert drift.difference.overlaps.tolist() == [0.5, 0.5]
    assert (drift.overlap, drift.compared, drift.coverage) == (0.5, 2, (1.0, 1.0))
