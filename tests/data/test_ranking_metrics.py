"""Metrics by hand, against twins in plain Python, and against pytrec_eval."""

from __future__ import annotations

from math import inf, log2

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data.ranking_metrics import RANKED_METRICS, ranked_metrics
from tests.conftest import read_only

KS = (1, 2, 3, 5, 10)


def measured(ranks: list[list[float]], ks: tuple[int, ...]) -> dict[str, list[float]]:
    flat = read_only(np.array([r for own in ranks for r in own], dtype=np.float64))
    offsets = read_only(np.cumsum([0, *map(len, ranks)]))
    return {key: column.tolist() for key, column in ranked_metrics(flat, offsets, ks).items()}


def test_metrics_by_hand() -> None:
    """Three questions at 3: one target found at 2; of two, one at 1 and one not at all; of four, at 1, 3 and 4."""
    result = measured([[2], [inf, 1], [4, 1, 3, inf]], (3,))
    assert result["hit_rate@3"] == [1, 1, 1]
    assert result["precision@3"] == [1 / 3, 1 / 3, 2 / 3]
    assert result["recall@3"] == [1, 1 / 2, 2 / 4]
    assert result["mrr@3"] == [1 / 2, 1, 1]
    assert result["map@3"] == pytest.approx([1 / 2, 1 / 2, (1 + 2 / 3) / 4])
    best_2, best_4 = 1 + 1 / log2(3), 1 + 1 / log2(3) + 1 / 2
    assert result["ndcg@3"] == pytest.approx([1 / log2(3), 1 / best_2, (1 + 1 / 2) / best_4])
    assert result["r_precision"] == [0, 1 / 2, 3 / 4]


def test_metrics_without_hits_are_0() -> None:
    result = measured([[inf], [4, inf]], (1, 3))
    assert set(result) == {*(f"{name}@{k}" for name in RANKED_METRICS for k in (1, 3)), "r_precision"}
    assert all(column == [0, 0] for column in result.values())


def test_metrics_of_no_queries_are_empty() -> None:
    assert all(column == [] for column in measured([], KS).values())


def test_ranks_between_two_places_are_interpolated() -> None:
    """A target in the middle of two items of equal score has rank 1.5."""
    result = measured([[1.5]], (1, 2))
    assert (result["mrr@1"], result["mrr@2"], result["r_precision"]) == ([0], [1 / 1.5], [0])
    assert result["ndcg@2"] == [1 / log2(2.5)]


def slow(ranks: list[float], k: int) -> dict[str, float]:
    """One question, the formulas as they stand in books."""
    result = sorted(r for r in ranks if r <= k)
    ideal = sum(1 / log2(place + 1) for place in range(1, min(len(ranks), k) + 1))
    return {
        f"hit_rate@{k}": float(bool(result)),
        f"precision@{k}": len(result) / k,
        f"recall@{k}": len(result) / len(ranks),
        f"mrr@{k}": 1 / result[0] if result else 0,
        f"map@{k}": sum(sum(s <= r for s in result) / r for r in result) / len(ranks),
        f"ndcg@{k}": sum(1 / log2(r + 1) for r in result) / ideal,
        "r_precision": sum(r <= len(ranks) for r in ranks) / len(ranks),
    }


places = st.one_of(st.integers(1, 12).map(float), st.just(inf))
targets = st.lists(places, min_size=1, max_size=8).map(
    lambda own: [r for i, r in enumerate(own) if r == inf or r not in own[:i]]
)


@given(st.lists(targets, max_size=6))
def test_metrics_equal_a_slow_count(ranks: list[list[float]]) -> None:
    result = measured(ranks, KS)
    for k in KS:
        for q, own in enumerate(ranks):
            for key, value in slow(own, k).items():
                assert result[key][q] == pytest.approx(value, abs=1e-12), key


def test_metrics_are_from_0_to_1_and_1_for_perfect_ranks() -> None:
    result = measured([[1, 2, 3], [1]], KS)
    for key, column in result.items():
        assert all(0 <= v <= 1 for v in column)
        if key.partition("@")[0] in ("hit_rate", "mrr", "ndcg") or key == "r_precision":
            assert column == pytest.approx([1, 1]), key


@pytest.mark.parametrize("seed", range(5))
def test_metrics_equal_those_of_pytrec_eval(seed: int) -> None:
    rng = np.random.default_rng(seed)
    qrels, run, ranks = {}, {}, []
    for q in range(40):
        items = [f"i{i}" for i in range(60)]
        relevant = rng.choice(items, int(rng.integers(1, 30)), replace=False).tolist()
        listed = rng.permutation(items)[: int(rng.integers(1, 50))].tolist()
        qrels[f"q{q}"] = dict.fromkeys(relevant, 1)
        run[f"q{q}"] = {item: float(len(listed) - place) for place, item in enumerate(listed)}
        ranks.append([listed.index(i) + 1.0 if i in listed else inf for i in relevant])
    result = measured(ranks, KS)
    names = ("P", "recall", "map_cut", "ndcg_cut", "success")
    wanted = {f"{name}.{','.join(map(str, KS))}" for name in names}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {*wanted, "Rprec"}).evaluate(run)
    ours = {"P": "precision", "recall": "recall", "map_cut": "map", "ndcg_cut": "ndcg", "success": "hit_rate"}
    for q in range(40):
        reference = theirs[f"q{q}"]
        assert result["r_precision"][q] == pytest.approx(reference["Rprec"], abs=1e-9)
        for k in KS:
            for name, our in ours.items():
                assert result[f"{our}@{k}"][q] == pytest.approx(reference[f"{name}_{k}"], abs=1e-9), (name, k)
    for k in KS:
        cut = {q: dict(sorted(own.items(), key=lambda pair: -pair[1])[:k]) for q, own in run.items()}
        first = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(cut)
        assert result[f"mrr@{k}"] == pytest.approx([first[f"q{q}"]["recip_rank"] for q in range(40)], abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_graded_metrics_equal_those_of_trec_eval(seed: int) -> None:
    rng = np.random.default_rng(seed)
    qrels, run, ranks, grades = {}, {}, [], []
    for q in range(30):
        items = [f"i{i}" for i in range(40)]
        relevant = rng.choice(items, int(rng.integers(1, 20)), replace=False).tolist()
        listed = rng.permutation(items)[: int(rng.integers(1, 30))].tolist()
        qrels[f"q{q}"] = {item: int(rng.integers(1, 5)) for item in relevant}
        run[f"q{q}"] = {item: float(len(listed) - place) for place, item in enumerate(listed)}
        ranks += [listed.index(i) + 1.0 if i in listed else inf for i in relevant]
        grades += [qrels[f"q{q}"][i] for i in relevant]
    offsets = np.cumsum([0, *(len(own) for own in qrels.values())])
    result = ranked_metrics(np.array(ranks), offsets, KS, np.array(grades, dtype=float))
    binary = ranked_metrics(np.array(ranks), offsets, KS)
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {f"ndcg_cut.{','.join(map(str, KS))}"}).evaluate(run)
    for k in KS:
        assert result[f"ndcg@{k}"] == pytest.approx([theirs[f"q{q}"][f"ndcg_cut_{k}"] for q in range(30)], abs=1e-9)
        for name in ("recall", "map", "mrr", "precision", "hit_rate"):
            assert (result[f"{name}@{k}"] == binary[f"{name}@{k}"]).all()
