"""Scores scaled by the popularity exponent, against a slow reference in plain Python."""

from __future__ import annotations

from dataclasses import replace
from math import log2

import numpy as np
import pytest

import embedrec.models.popularity_scaling as module
from embedrec.data import Sessions, Vocab
from embedrec.errors import SettingsError
from embedrec.models.popularity_scaling import SHARES, best_share, scale_norms
from embedrec.models.session_encoders import mean_encoder
from embedrec.vectors.embeddings import Embeddings
from tests.conftest import of_lists, read_only, slow_scores, some_embeddings


def with_zeros(n: int = 8, spread: float = 1.0) -> Embeddings:
    embeddings = some_embeddings(n, 4, spread=spread)
    vectors = embeddings.vectors.copy()
    vectors[2] = 0
    return Embeddings(read_only(vectors), embeddings.vocab)


def test_share_0_is_the_same_object() -> None:
    embeddings = with_zeros()
    assert scale_norms(embeddings, 0) is embeddings and scale_norms(embeddings, 0.0) is embeddings


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_directions_stay_and_norms_are_scaled(share: float) -> None:
    embeddings = with_zeros()
    result = scale_norms(embeddings, share)
    assert result.metric == "dot" and result.vocab is embeddings.vocab
    for before, after in zip(embeddings.vectors.tolist(), result.vectors.tolist(), strict=True):
        norm = sum(x * x for x in before) ** 0.5
        assert after == pytest.approx([x / norm * norm**share if norm else 0 for x in before], abs=1e-6)
    if share == 1:
        np.testing.assert_allclose(result.vectors, embeddings.vectors, rtol=1e-5)


def test_nearly_0_ranks_as_the_cosine() -> None:
    embeddings = some_embeddings(30, 4, spread=1.0)
    queries = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    cosine, nearly = embeddings.search(queries, 10), scale_norms(embeddings, 1e-6).search(queries, 10)
    assert (cosine.rows == nearly.rows).all()


def slow_gains(embeddings: Embeddings, sessions: Sessions, share: float) -> float:
    """The sum of 1 / log2(1 + rank) of last items among the 20 best; items of the history are no rivals."""
    vectors = embeddings.vectors
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1).tolist()
    gains = 0.0
    for s in range(len(sessions)):
        *history, target = sessions[s].tolist()
        if not history:
            continue
        query = mean_encoder(vectors)(of_lists([embeddings.vocab.ids[history]], embeddings.vocab))[0]
        cosines = slow_scores(vectors, query, "cosine")
        scores = [c * (n**share if n else 0) for c, n in zip(cosines, norms, strict=True)]
        rivals = [i for i in range(len(vectors)) if scores[i] > scores[target] and (i == target or i not in history)]
        gains += 1 / log2(len(rivals) + 2) if len(rivals) < 20 else 0
    return gains


def popular_sessions(count: int, kind: str) -> tuple[Embeddings, Sessions]:
    """Sessions that end with an item of large norm, or with one that points where the history points."""
    embeddings = some_embeddings(100, 6, spread=1.0)
    rng = np.random.default_rng(3)
    norms = np.linalg.norm(embeddings.vectors, axis=1)
    unit = embeddings.vectors / norms[:, None]
    large = np.argsort(-norms)[:25]
    lists = []
    for _ in range(count):
        history = rng.choice(100, 3, replace=False)
        near = [i for i in np.argsort(-(unit @ unit[history].sum(axis=0))) if i not in history]
        mixed = rng.choice(large) if kind == "popular" or (kind == "both" and rng.random() < 0.5) else near[0]
        lists.append(embeddings.vocab.ids[[*history, mixed]])
    return embeddings, of_lists(lists, embeddings.vocab)


@pytest.mark.parametrize("kind", ["popular", "specific", "both"])
def test_the_best_share_equals_that_of_a_slow_search(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, sessions = popular_sessions(40, kind)
    gains = {share: slow_gains(embeddings, sessions, share) for share in SHARES}
    best = min(share for share, result in gains.items() if result == max(gains.values()))
    encoder = mean_encoder(embeddings.vectors)
    assert best_share(embeddings, encoder, sessions, seed=0) == best
    assert kind == "both" or (best > 0) == (kind == "popular")
    monkeypatch.setattr(module, "BLOCK_SCORES", 700)  # seven sessions at a time
    assert best_share(embeddings, encoder, sessions, seed=0) == best


def test_sessions_without_test_cases_choose_nothing() -> None:
    embeddings = with_zeros()
    encoder = mean_encoder(embeddings.vectors)
    for lists in ([], [[]], [["i1"], ["i2"]]):
        assert best_share(embeddings, encoder, of_lists(lists, embeddings.vocab), seed=0) == 0
    same = of_lists([["i1", "i2"], ["i2", "i2"]], embeddings.vocab)  # zero vectors, and all are hits
    assert best_share(embeddings, encoder, same, seed=0) == 0


def test_the_seed_draws_the_sessions() -> None:
    embeddings, sessions = popular_sessions(30, "both")
    encoder = mean_encoder(embeddings.vectors)
    results = [best_share(embeddings, encoder, sessions, seed=seed, most=2) for seed in range(12)]
    assert results == [best_share(embeddings, encoder, sessions, seed=seed, most=2) for seed in range(12)]
    assert len(set(results)) > 1


def test_one_item() -> None:
    only = Embeddings(np.ones((1, 2), dtype=np.float32), Vocab(["a"]))
    assert best_share(only, mean_encoder(only.vectors), of_lists(["aa"], only.vocab), seed=0) == 0


def test_share_0_of_inner_products_is_the_cosine() -> None:
    embeddings = replace(with_zeros(), metric="dot")
    assert scale_norms(embeddings, 0).metric == "cosine" and scale_norms(embeddings, 0).vectors is embeddings.vectors


@pytest.mark.parametrize(
    ("share", "metric", "message"),
    [
        (-0.1, "cosine", "popularity must lie between 0 and 1, but is -0.1"),
        (float("nan"), "dot", "popularity must lie between 0 and 1, but is nan"),
        (0.5, "l2", "popularity needs cosine or dot product, but the metric is l2"),
    ],
)
def test_invalid_shares_are_refused(share: float, metric: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        scale_norms(replace(with_zeros(), metric=metric), share)
