"""Models of item vectors: recommendations, neighbours and session vectors against slow searches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Sessions, Vocab
from embedrec.data.topk import TopK
from embedrec.errors import EmbedrecError, SettingsError
from embedrec.models.imported import Vectors
from embedrec.models.session_encoders import Weights
from embedrec.models.vector_model import VectorModel, without_seen
from embedrec.vectors.embeddings import Embeddings
from tests.conftest import of_lists, slow_nearest, some_embeddings

N = 8
LISTS = st.lists(st.lists(st.integers(0, N - 1), max_size=5), max_size=5)
ALLOWED = st.none() | st.sets(st.integers(0, N - 1))


def model(metric: str = "dot", decay: float = 0.5) -> VectorModel:
    embeddings = some_embeddings(N, 4, metric, spread=0.7)
    return Vectors(embeddings.metric, decay).from_arrays(embeddings.vocab, {"items": embeddings.vectors})


MODELS = {metric: model(metric) for metric in ("cosine", "dot", "l2")}


def histories_of(lists: list[list[int]], vocab: Vocab) -> Sessions:
    return of_lists([vocab.ids[items].tolist() for items in lists], vocab)


@given(st.sampled_from(sorted(MODELS)), LISTS, st.integers(1, N), st.booleans(), ALLOWED)
def test_recommendations_are_the_nearest_items(
    metric: str, lists: list[list[int]], k: int, exclude_seen: bool, allowed: set[int] | None
) -> None:
    """Exact search for the history's vector; items of the history, and items not allowed, are left out."""
    vectors = MODELS[metric]
    histories = histories_of(lists, vectors.vocab)
    given_rows = None if allowed is None else np.array(sorted(allowed), dtype=np.int64)
    result = vectors.recommend(histories, k, exclude_seen=exclude_seen, allowed=given_rows)
    queries = vectors.encoder(histories)
    for q, items in enumerate(lists):
        order = slow_nearest(vectors.embeddings.vectors, queries[q], metric, N)
        expected = [
            row for row in order if (not exclude_seen or row not in items) and (allowed is None or row in allowed)
        ][:k]
        if items:  # all scores of an empty history are equal
            assert result.rows[q].tolist() == expected + [-1] * (k - len(expected))
        assert np.isneginf(result.scores[q][result.rows[q] < 0]).all()


@given(st.sampled_from(sorted(MODELS)), st.lists(st.integers(0, N - 1), max_size=4), st.integers(1, N - 1), ALLOWED)
def test_neighbours_are_the_nearest_other_items(metric: str, rows: list[int], k: int, allowed: set[int] | None) -> None:
    vectors = MODELS[metric]
    given_rows = None if allowed is None else np.array(sorted(allowed), dtype=np.int64)
    result = vectors.neighbours(np.array(rows, dtype=np.int64), k, allowed=given_rows)
    for q, row in enumerate(rows):
        order = slow_nearest(vectors.embeddings.vectors, vectors.embeddings.vectors[row], metric, N, without=row)
        expected = [other for other in order if allowed is None or other in allowed][:k]
        assert result.rows[q].tolist() == expected + [-1] * (k - len(expected))


def test_session_vectors_are_weighted_means() -> None:
    vectors = MODELS["l2"]
    items = vectors.embeddings.vectors
    sessions = replace(histories_of([[0, 3], [], [5]], vectors.vocab), ids=np.array(["x", "y", "z"], dtype=object))
    encoded = vectors.encode(sessions)
    assert encoded.vocab.ids.tolist() == ["x", "y", "z"] and encoded.metric == "l2"
    np.testing.assert_allclose(encoded.vectors, [items[0] / 3 + 2 * items[3] / 3, np.zeros(4), items[5]], rtol=1e-5)
    equal = vectors.with_weights(Weights()).encode(sessions).vectors
    np.testing.assert_allclose(equal[0], (items[0] + items[3]) / 2, rtol=1e-5)
    strange = vectors.encode(of_lists([["i0", "unknown", "i3"]]))
    assert strange.vectors.tobytes() == encoded.vectors[:1].tobytes()


def test_by_similarity_searches_the_item_embeddings() -> None:
    """A model with other answers than its embeddings recommends the neighbours of a single item."""
    vectors = MODELS["dot"]
    answers = Embeddings(-vectors.embeddings.vectors, vectors.vocab, "dot")
    other = replace(vectors, answers=answers, searcher=answers)
    single = histories_of([[row] for row in range(N)], vectors.vocab)
    expected = other.neighbours(np.arange(N), 3).rows
    assert (other.by_similarity().recommend(single, 3).rows == expected).all()
    assert (other.recommend(single, 3).rows != expected).any()


def test_scale_norms_keeps_directions() -> None:
    vectors = MODELS["dot"]
    norms = np.linalg.norm(vectors.embeddings.vectors, axis=1, keepdims=True)
    scaled = vectors.scale_norms(0.5)
    expected = vectors.embeddings.vectors / norms**0.5
    for embeddings in (scaled.embeddings, scaled.answers, scaled.searcher):
        assert isinstance(embeddings, Embeddings) and embeddings.metric == "dot"
        np.testing.assert_allclose(embeddings.vectors, expected, rtol=1e-5)
    history = histories_of([[2, 4]], vectors.vocab)
    scores = scaled.recommend(history, N, exclude_seen=False)
    query = vectors.encoder(history)[0]
    np.testing.assert_allclose(scores.scores[0], np.sort(expected @ query)[::-1], rtol=1e-4, atol=1e-6)


def test_using_another_searcher() -> None:
    vectors = MODELS["dot"]
    reversed_vectors = Embeddings(-vectors.embeddings.vectors, vectors.vocab, "dot")
    history = histories_of([[1, 2]], vectors.vocab)
    result = vectors.using(reversed_vectors).recommend(history, N, exclude_seen=False)
    assert result.rows[0].tolist() == vectors.recommend(history, N, exclude_seen=False).rows[0, ::-1].tolist()
    for searcher, message in (
        (
            some_embeddings(N - 1, 4, "dot"),
            "the index was built from another vocabulary than the model's; build it again",
        ),
        (
            replace(vectors.embeddings, metric="l2"),
            "the index compares by l2, but the model's answers by dot; build it from model.answers",
        ),
    ):
        with pytest.raises(SettingsError) as error:
            vectors.using(searcher)
        assert str(error.value) == message


def test_invalid_queries() -> None:
    vectors = MODELS["dot"]
    for k in (0, N + 1):
        with pytest.raises(SettingsError, match=f"k must be between 1 and {N}, the number of items, but is {k}"):
            vectors.recommend(histories_of([[0]], vectors.vocab), k)
    for k in (0, N):
        with pytest.raises(SettingsError, match=f"neighbours must be between 1 and {N - 1} for {N} items, but is {k}"):
            vectors.neighbours(np.array([0]), k)
    with pytest.raises(EmbedrecError, match=f"rows must be between 0 and {N - 1}"):
        vectors.neighbours(np.array([N]), 1)


@given(
    st.lists(st.lists(st.integers(-1, 5), min_size=4, max_size=4, unique=True), max_size=4),
    st.lists(st.lists(st.integers(0, 5), max_size=4), min_size=4, max_size=4),
    st.integers(1, 6),
)
def test_excluding_items_of_the_history(rows: list[list[int]], lists: list[list[int]], k: int) -> None:
    """The k best that are not in the history, in the same order, with their scores."""
    vocab = Vocab(list("abcdef"))
    ranked = [[row for row in line if row >= 0] + [-1] * line.count(-1) for line in rows]
    table = np.array(ranked, dtype=np.int32).reshape(len(rows), 4)
    scores = np.where(table < 0, -np.inf, 9 - np.arange(4)).astype(np.float32)
    histories = histories_of(lists[: len(rows)], vocab)
    result = without_seen(TopK(table, scores, vocab), histories, k)
    for q, line in enumerate(ranked):
        kept = [(row, 9.0 - place) for place, row in enumerate(line) if row >= 0 and row not in lists[q]][:k]
        kept += [(-1, -np.inf)] * (k - len(kept))
        assert list(zip(result.rows[q].tolist(), result.scores[q].tolist(), strict=True)) == kept
