"""Metrics of similar items against a slow reference in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import embedrec.evaluation.item_similarity as module
from embedrec.data import Vocab
from embedrec.errors import DataError
from embedrec.evaluation.evaluate import Evaluation, EvaluationSettings
from embedrec.evaluation.item_similarity import evaluate_similar, label_overlap, neighbours
from embedrec.models.baselines.rules import AssociationRules
from embedrec.models.imported import Vectors
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.rules import Random, Split
from embedrec.splitting.test_cases import TestCases, cooccurring_items
from embedrec.workflows.compare import metric_names
from tests.conftest import of_lists, read_only

TERMS = EvaluationSettings(at=(5, 20), exclude_seen=True, draws=50)


@pytest.fixture(scope="module")
def split() -> Split:
    """Sessions of 40 items, popular ones in many; held-out ones also hold items that training has not."""
    rng = np.random.default_rng(0)
    chance = 1 / (2 + np.arange(40.0))
    lists = [rng.choice(40, rng.integers(2, 15), p=chance / chance.sum()).tolist() for _ in range(120)]
    lists[3].append(99)
    return Random(0.3).split(of_lists(lists).drop_unused_items(), seed=4)


@pytest.fixture(scope="module")
def model(split: Split) -> Any:
    """Vectors of all items but two, in another order, and of an unknown item."""
    ids = np.append(split.train.vocab.ids[:-2][::-1], 1000)
    vectors = np.random.default_rng(1).normal(size=(len(ids), 6)).astype(np.float32)
    return Vectors().from_arrays(Vocab(ids), {"items": vectors})


def similar_of(model: Any) -> dict[Any, list[Any]]:
    """Of every item of the model the others, best first."""
    unit = model.embeddings.vectors / np.linalg.norm(model.embeddings.vectors, axis=1, keepdims=True)
    ids = model.vocab.ids.tolist()
    cosines = unit @ unit.T
    return {
        i: [ids[r] for r in np.argsort(-cosines[row], kind="stable").tolist() if r != row] for row, i in enumerate(ids)
    }


def slow_metrics(model: Any, split: Split, test_cases: TestCases, labels: Any = None) -> Evaluation:
    return evaluate_similar(model, test_cases, split.train, TERMS, labels=labels)


def load_labels(split: Split) -> tuple[list[set[int]], Any]:
    """Sets of labels of the items, empty for some, and the same as a matrix."""
    rng = np.random.default_rng(2)
    sets = [set(rng.choice(6, rng.integers(0, 4), replace=False).tolist()) for _ in split.train.vocab.ids]
    matrix = np.array([[g in own for g in range(6)] for own in sets], dtype=np.int64)
    return sets, sp.csr_array(matrix)


def test_metrics_equal_a_slow_reference(split: Split, model: Any) -> None:
    top = similar_of(model)
    test_cases = cooccurring_items(split.test, split.train.vocab, seed=1)
    sets, matrix = load_labels(split)
    result = slow_metrics(model, split, test_cases, matrix)
    catalogue = split.train.vocab.ids.tolist()
    unseen = {
        s: {i for i in split.test.sessions.vocab.ids[split.test.sessions[n]].tolist() if i in catalogue}
        for n, s in enumerate(split.test.sessions.ids.tolist())
    }
    precision, ndcg = [], []
    discount = 1 / np.log2(np.arange(20) + 2)
    for q in range(len(test_cases)):
        (alone,) = test_cases.histories(q, q + 1).items.tolist()
        item = test_cases.sessions.vocab.id(alone)
        others = unseen[test_cases.sessions.ids.tolist()[test_cases.session[q]]] - {item}
        hit = np.array([i in others for i in top.get(item, [])[:20]] + [False] * 20)[:20]
        precision.append(hit.mean())
        ndcg.append((hit * discount).sum() / discount[: min(20, len(others))].sum())
    assert result.metrics["precision@20"] == pytest.approx(np.mean(precision)) and np.mean(precision) > 0
    assert result.metrics["ndcg@20"] == pytest.approx(np.mean(ndcg))

    shown = {i for item in catalogue for i in top.get(item, [])[:20]} & set(catalogue)
    assert result.metrics["coverage@20"] == pytest.approx(len(shown) / len(catalogue))
    label = {i: own for i, own in zip(catalogue, sets, strict=True) if own}
    overlaps = []
    for item, own in label.items():
        near = [b for b in top.get(item, [])[:20] if b in label][:10]
        overlaps.append(np.mean([len(own & label[b]) / len(own | label[b]) for b in near] or [0.0]))
    assert result.metrics["label_overlap@10"] == pytest.approx(np.mean(overlaps))
    assert list(result.metrics) == metric_names(TERMS, labelled=True)


def test_aggregate_metrics_cover_the_whole_catalogue(split: Split, model: Any) -> None:
    """Not only the items of the test cases."""
    test_cases = cooccurring_items(split.test, split.train.vocab, seed=1)
    few = test_cases.filter(np.arange(len(test_cases)) < 2)
    assert slow_metrics(model, split, few).aggregate == slow_metrics(model, split, test_cases).aggregate
    assert "label_overlap@10" not in slow_metrics(model, split, few).metrics


def test_cases_of_one_session_are_resampled_together(split: Split, model: Any) -> None:
    """The five test cases of a held-out session are not independent."""
    test = split.test
    longest = np.argsort(-test.sessions.lengths)[:1]
    of_one = cooccurring_items(HeldOut(test.sessions.take(longest), test.given[longest]), split.train.vocab)
    result = slow_metrics(model, split, of_one)
    assert np.ptp(result.values["recall@20"]) > 0
    low, high = result.intervals["recall@20"]
    assert low == pytest.approx(high) == pytest.approx(result.metrics["recall@20"])


def test_blocks_do_not_change_the_neighbours(split: Split, model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = neighbours(model, split.train, 20)
    top, ids = similar_of(model), split.train.vocab.ids.tolist()
    assert whole.shape == (len(ids), 20)
    for row, item in enumerate(ids):
        near = [ids.index(i) if i in ids else -1 for i in top.get(item, [])[:20]]
        assert whole[row].tolist() == near + [-1] * (20 - len(near))
    monkeypatch.setattr(module, "BLOCK_ITEMS", 7)
    assert (neighbours(model, split.train, 20) == whole).all()


def test_a_small_catalogue_has_fewer_neighbours() -> None:
    train = of_lists(["ab", "cc"])
    lists = neighbours(AssociationRules().fit(train), train, 5)
    assert lists.tolist() == [[1, -1, -1, -1, -1], [0, -1, -1, -1, -1], [-1] * 5]


def test_overlap_by_hand() -> None:
    """Items 0 {p,q}, 1 {p}, 2 none, 3 {r}; neighbours without labels are passed over."""
    labels = sp.csr_array(np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1]]))
    lists = read_only(np.array([[2, 1, 3], [0, -1, -1], [0, 1, 3], [2, -1, -1]], dtype=np.int32))
    assert label_overlap(lists, labels).tolist() == [(1 / 2 + 0) / 2, 1 / 2, 0]


def test_overlap_uses_the_first_ten_labelled_neighbours() -> None:
    labels = sp.csr_array(np.ones((13, 1), dtype=np.int64) * (np.arange(13) != 1)[:, None])
    labels = sp.hstack([labels, sp.csr_array((np.arange(13) < 11)[:, None])]).tocsr()  # the last two have one label
    lists = np.full((13, 12), -1)
    lists[0] = np.arange(1, 13)  # 1 has the second label only, 2 … 10 both, 11 and 12 the first
    assert label_overlap(lists, labels)[0] == pytest.approx((1 / 2 + 9) / 10)


def test_items_without_labels_are_refused() -> None:
    with pytest.raises(DataError) as error:
        label_overlap(np.zeros((2, 1), dtype=int), sp.csr_array((2, 3)))
    assert str(error.value) == "no item has labels; check that the labels use the items' ids or names"
