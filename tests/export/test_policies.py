"""Every policy against a slow, obvious twin."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from embedrec.data import Sessions, Vocab
from embedrec.data.features import Categories, Features
from embedrec.data.features import Lists as ListFeature
from embedrec.data.topk import TopK
from embedrec.errors import SettingsError
from embedrec.export.list_statistics import measure_effect
from embedrec.export.policies import backfill
from embedrec.export.policies.backfill import BackOff, CappedBackOff
from embedrec.export.policies.base import Policy
from embedrec.export.policies.chain import build_chain
from embedrec.export.policies.rerank import Csls, Discount, Diversity, mean_scores
from embedrec.export.policies.session_index import EMPTY, index_sessions
from embedrec.export.policies.settings import Policies
from embedrec.export.policies.thresholds import Cap, MinEvidence, MinScore, Mutual, cap_feature
from embedrec.export.resume import ResumableExport
from tests.conftest import of_lists, some_embeddings
from tests.export.lists import Lists, answers_of, material_of, plain, some_lists

N = 40
SEEDS = np.arange(N)
FOUND = some_lists(N, 12, seed=1)
ITEMS = FOUND.vocab


def logs(seed: int = 0) -> Sessions:
    """Sessions of items of which low rows are popular; items come twice in some, and one item is in none."""
    rng = np.random.default_rng(seed)
    lists = [[f"i{int(row)}" for row in (N - 1) * rng.random(rng.integers(1, 9)) ** 2] for _ in range(150)]
    return of_lists(lists, ITEMS)


def held(sessions: Sessions) -> list[set[int]]:
    """Of each item the sessions that hold it."""
    return [{s for s in range(len(sessions)) if row in sessions[s]} for row in range(N)]


def applied(policy: Policy, found: TopK = FOUND) -> Lists:
    rows, scores = found.rows.copy(), found.scores.copy()
    changed = policy.apply(SEEDS, found)
    assert np.array_equal(found.rows, rows) and np.array_equal(found.scores, scores)
    return plain(changed)


def close(found: Lists, expected: Lists) -> None:
    assert [[row for row, _ in results] for results in found] == [[row for row, _ in results] for results in expected]
    for mine, other in zip(found, expected, strict=True):
        assert [score for _, score in mine] == pytest.approx([score for _, score in other], rel=1e-5, abs=1e-6)


def ranked(results: list[tuple[int, float]]) -> list[tuple[int, float]]:
    return sorted(results, key=lambda result: (-np.float32(result[1]), result[0]))


def test_min_score() -> None:
    least = float(np.float32(0.3))
    assert applied(MinScore(0.3)) == [[r for r in results if r[1] >= least] for results in plain(FOUND)]


def test_min_evidence() -> None:
    sessions = logs()
    of = held(sessions)
    expected = [[r for r in results if len(of[seed] & of[r[0]]) >= 2] for seed, results in enumerate(plain(FOUND))]
    assert applied(MinEvidence(2, index_sessions(sessions, ITEMS))) == expected
    assert 0 < sum(map(len, expected)) < sum(map(len, plain(FOUND)))


def test_mutual() -> None:
    listed = [{row for row, _ in results} for results in plain(FOUND)]
    expected = [[r for r in results if seed in listed[r[0]]] for seed, results in enumerate(plain(FOUND))]
    assert applied(Mutual(FOUND.rows.astype(np.int32))) == expected


def test_csls() -> None:
    means = [float(np.mean([s for _, s in results[:3]])) if results else 0.0 for results in plain(FOUND)]
    blocks = [FOUND.scores[:7], FOUND.scores[7:]]
    assert mean_scores(blocks, 3) == pytest.approx(means, rel=1e-5)
    r = np.array(means, dtype=np.float32)
    expected = [
        ranked([(row, float(np.float32(2) * np.float32(s) - r[seed] - r[row])) for row, s in results])
        for seed, results in enumerate(plain(FOUND))
    ]
    close(applied(Csls(r)), expected)


def test_csls_holds_hubs_back() -> None:
    """An item that is near to all loses its place to one that is near to the seed alone."""
    rows, scores = np.array([[1, 2], [0, 2], [1, 0]]), np.array([[0.9, 0.85], [0.9, 0.88], [0.88, 0.85]])
    changed = Csls(np.array([0.5, 0.9, 0.6])).apply(np.arange(3), TopK(rows, scores, Vocab(["a", "hub", "c"])))
    assert changed.rows.tolist() == [[2, 1], [0, 2], [0, 1]]


def test_discount() -> None:
    counts = np.arange(N) ** 2
    expected = [
        ranked([(row, s / (1 + counts[row]) ** 0.3 if s > 0 else s * (1 + counts[row]) ** 0.3) for row, s in results])
        for results in plain(FOUND)
    ]
    close(applied(Discount(0.3, counts)), expected)
    assert applied(Discount(0.0, counts)) == plain(FOUND)


@pytest.mark.parametrize("most", [1, 2, 5])
def test_cap(most: int) -> None:
    rng = np.random.default_rng(2)
    values = [sorted(rng.choice(5, rng.integers(0, 3), replace=False).tolist()) for _ in range(N)]
    offsets = np.concatenate([[0], np.cumsum([len(v) for v in values])])
    codes = np.array([c for v in values for c in v], dtype=np.int32)
    expected = []
    for results in plain(FOUND):
        used: Counter[int] = Counter()
        expected.append([])
        for row, score in results:
            if all(used[value] < most for value in values[row]):
                used.update(values[row])
                expected[-1].append((row, score))
    assert applied(Cap(most, offsets, codes)) == expected


def test_cap_of_features() -> None:
    names = np.array(["x", "y"], dtype=object)
    features = Features(
        Vocab(["i3", "i1", "i0"]),
        {"year": np.array([1990, np.nan, 1990], dtype=np.float32)},
        {"artist": Categories(np.array([0, -1, 1]), names)},
        {"tags": ListFeature(np.array([0, 2, 2, 3]), np.array([0, 1, 1]), names)},
    )
    vocab = Vocab(["i0", "i1", "i2", "i3"])
    for name, offsets, codes in (
        ("artist", [0, 1, 1, 1, 2], [1, 0]),
        ("year", [0, 1, 1, 1, 2], [0, 0]),
        ("tags", [0, 1, 1, 1, 3], [1, 0, 1]),
    ):
        made = cap_feature(2, name, features, vocab)
        assert (made.offsets.tolist(), made.codes.tolist()) == (offsets, codes)
    with pytest.raises(SettingsError, match="items have no feature 'artits' to cap; did you mean 'artist'"):
        cap_feature(2, "artits", features, vocab)


def slow_mmr(results: list[tuple[int, float]], cosine: np.ndarray, weight: float, k: int) -> list[tuple[int, float]]:
    scores = [score for _, score in results]
    low, high = min(scores, default=0), max(scores, default=0)
    left = [(row, (score - low) / (high - low) if high > low else 1.0) for row, score in results]
    chosen: list[tuple[int, float]] = []
    while left and len(chosen) < k:
        values = [
            (1 - weight) * relevance - weight * max([0.0, *(cosine[row, other] for other, _ in chosen)])
            for row, relevance in left
        ]
        best = int(np.argmax(values))
        chosen.append((left[best][0], values[best]))
        del left[best]
    return chosen


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_diversity_by_vectors(weight: float) -> None:
    vectors = some_embeddings(N, 6).vectors
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    cosine = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    expected = [slow_mmr(results, cosine, weight, 5) for results in plain(FOUND)]
    close(applied(Diversity(weight, 5, vectors, EMPTY)), expected)
    if weight == 0:
        assert [[row for row, _ in r] for r in expected] == [[row for row, _ in r[:5]] for r in plain(FOUND)]


def test_diversity_by_sessions() -> None:
    sessions = logs()
    of = held(sessions)
    cosine = np.array([[len(a & b) / max((len(a) * len(b)) ** 0.5, 1) for b in of] for a in of])
    expected = [slow_mmr(results, cosine, 0.5, 4) for results in plain(FOUND)]
    close(applied(Diversity(0.5, 4, np.zeros((0, 0), np.float32), index_sessions(sessions, ITEMS))), expected)


def slow_back_off(seed: int, results: list[tuple[int, float]], k: int, reach: int) -> list[tuple[int, float]]:
    if len(results) >= k:
        return results
    sessions = logs()
    of, counts = held(sessions), np.bincount(sessions.items, minlength=N)
    results, there = list(results), {seed, *(row for row, _ in results)}
    together = ranked(
        [
            (row, len(of[seed] & of[row]) / (len(of[seed]) * len(of[row])) ** 0.5)
            for row in range(N)
            if row not in there and of[seed] & of[row]
        ]
    )
    popular = sorted((row for row in range(N)), key=lambda row: (-counts[row], row))
    for row, score in together + [(row, counts[row] / counts.max()) for row in popular]:
        if len(results) < reach and row not in {seed, *(r for r, _ in results)}:
            results.append((row, min([score, *(s for _, s in results)])))
    return results


@pytest.mark.parametrize("reach", [8, 12])
def test_back_off(reach: int) -> None:
    sessions = logs()
    counts = np.bincount(sessions.items, minlength=N)
    expected = [slow_back_off(seed, results, 8, reach) for seed, results in enumerate(plain(FOUND))]
    close(applied(BackOff(8, reach, counts, index_sessions(sessions, ITEMS))), expected)
    assert all(len(results) >= 8 for results in expected)


@pytest.mark.parametrize(("most", "values"), [(1, 10), (1, 5), (2, 4)])
def test_filling_under_caps_goes_on_until_lists_are_full(
    most: int, values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if every list had been filled with the whole catalogue before the cap."""
    monkeypatch.setattr(backfill, "_BLOCK_RESULTS", 64)
    monkeypatch.setattr(backfill, "_REACH_FACTOR", 2)
    sessions, k = logs(), 8
    counts, together = np.bincount(sessions.items, minlength=N), index_sessions(sessions, ITEMS)
    codes = (np.arange(N) % values).astype(np.int32)
    capped = cap_feature(
        most,
        "artist",
        Features(ITEMS, categorical={"artist": Categories(codes, np.array([*"abcdefghij"[:values]]))}),
        ITEMS,
    )
    start = capped.apply(SEEDS, FOUND.first(k))
    found = CappedBackOff(BackOff(k, k, counts, together), N, (capped,)).apply(SEEDS, start)
    slow = capped.apply(SEEDS, BackOff(k, N, counts, together).apply(SEEDS, start)).first(k)
    assert np.array_equal(found.rows, slow.rows) and np.array_equal(found.scores, slow.scores)
    full = (found.rows >= 0).sum(axis=1)
    assert (full == min(k, most * values)).all() and (start.rows < 0).any()
    near = CappedBackOff(BackOff(k, k, counts, together), k, (capped,)).apply(SEEDS, start)
    assert ((near.rows >= 0).sum(axis=1) < full).any()


def test_back_off_of_recommendations() -> None:
    """What a history holds is not filled in, and the most popular come first."""
    found = TopK(np.array([[3, -1], [-1, -1]]), [[0.2, -np.inf], [-np.inf, -np.inf]], Vocab([*"abcd"]))
    known = of_lists(["ab", "d"], found.vocab)
    changed = BackOff(2, 2, np.array([9, 8, 7, 1]), None, known).apply(np.arange(2), found)
    assert changed.rows.tolist() == [[3, 2], [0, 1]]
    assert changed.scores == pytest.approx(np.array([[0.2, 0.2], [1, 8 / 9]]))


def test_the_order_of_policies(tmp_path: Path) -> None:
    """All of them, against one after the other by hand; caps hold also for what back-off filled in."""
    sessions, answers = logs(), answers_of(FOUND)
    codes = (np.arange(N) % 4).astype(np.int32)
    features = Features(ITEMS, categorical={"artist": Categories(codes, np.array([*"abcd"], dtype=object))})
    material = material_of(ITEMS, sessions, features)
    wanted = Policies(-0.5, 1, True, 3, 0.2, {"artist": 2}, 0.3, True)
    kept = ResumableExport(tmp_path).lists(
        "candidates", N, 12, lambda parts: (answers.block(here, 12) for here in parts)
    )
    chain = build_chain(wanted, 5, kept, material)
    found, counts = FOUND, np.bincount(sessions.items, minlength=N)
    capped = cap_feature(2, "artist", features, ITEMS)
    for policy in (
        MinScore(-0.5),
        MinEvidence(1, index_sessions(sessions, ITEMS)),
        Mutual(FOUND.rows.astype(np.int32)),
        Csls(mean_scores([FOUND.scores], 3)),
        Discount(0.2, counts),
        capped,
        Diversity(0.3, 5, np.zeros((0, 0), np.float32), index_sessions(sessions, ITEMS)),
        BackOff(5, 12, counts, index_sessions(sessions, ITEMS)),
        capped,
    ):
        found = policy.apply(SEEDS, found)
    lists = chain.apply(SEEDS, FOUND)
    assert np.array_equal(lists.rows, found.rows[:, :5])
    assert max(Counter(codes[row] for row, _ in results).most_common(1)[0][1] for results in plain(lists)) == 2
    assert wanted.describe() == (
        "min-score -0.5, min-evidence 1, mutual, csls 3, discount 0.2, cap artist=2, mmr 0.3, back-off"
    )


def test_effect(tmp_path: Path) -> None:
    before = np.array([[1, 2, 3], [0, 2, -1], [-1, -1, -1], [0, 1, 2]])
    after = np.array([[2, 1], [3, -1], [-1, -1], [0, 1]])
    kept = []
    for name, rows in (("before", before), ("after", after)):
        scores = np.where(rows < 0, -np.inf, 1)
        found = TopK(rows, scores, Vocab([*"abcd"]))
        kept.append(
            ResumableExport(tmp_path).lists(name, 4, rows.shape[1], lambda parts, found=found: (found for _ in parts))
        )
    did = measure_effect(*kept, 4)
    assert (did.coverage_before, did.coverage_after, did.short_before, did.short_after) == (0.75, 1, 1, 2)
    assert did.overlap == pytest.approx((1 + 0 + 1 + 1) / 4)


def test_bad_settings() -> None:
    for given, says in (
        ({"csls": 0}, "csls must be at least 1, but is 0"),
        ({"mmr": 1.5}, "mmr must be between 0 and 1, but is 1.5"),
        ({"mmr": float("nan")}, "mmr must be between 0 and 1, but is nan"),
        ({"min_score": float("nan")}, "min_score must be a finite number; it is nan"),
        ({"caps": {"artist": 0}}, "a cap must be at least 1; it is 0 for 'artist'"),
    ):
        with pytest.raises(SettingsError, match=says):
            Policies(**given)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="--mmr cannot be used with --of sessions; leave it out"):
        Policies(mmr=0.5).check("sessions")
    assert Policies().enabled() == {}
    assert Policies(min_score=0.0, mmr=0.0).enabled() == {"min_score": 0.0, "mmr": 0.0}
