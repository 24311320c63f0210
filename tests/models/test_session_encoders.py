"""Session vectors: what an event counts."""

from __future__ import annotations

from collections import Counter
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.errors import SettingsError
from embedrec.models.imported import Vectors
from embedrec.models.session_encoders import Weights, mean_encoder
from tests.conftest import of_lists, some_embeddings

VOCAB = Vocab(list("abcdef"), counts=np.array([8, 7, 5, 4, 3, 1]))
LISTS = st.lists(st.text("abcdef", max_size=8), max_size=6)


def slow_weights(weights: Weights, history: str) -> list[float]:
    """What each event counts, one after the other."""
    counts = dict(zip(VOCAB.ids.tolist(), VOCAB.counts.tolist(), strict=True))
    total, plays, out = sum(counts.values()), Counter(history), []
    for place, item in enumerate(history):
        weight = weights.decay ** (len(history) - 1 - place)
        weight *= log(total / counts[item]) ** weights.idf
        if weights.plays != "each" and item in history[place + 1 :]:
            weight = 0.0
        if weights.plays == "log":
            weight *= 1 + log(plays[item])
        out.append(weight)
    return out


@given(LISTS, st.floats(0.1, 1), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from(["each", "once", "log"]))
def test_weights(lists: list[str], decay: float, idf: float, plays: str) -> None:
    weights = Weights(decay, idf, plays)  # type: ignore[arg-type]
    expected = [w for history in lists for w in slow_weights(weights, history)]
    np.testing.assert_allclose(weights.of(of_lists(lists, VOCAB)), expected, rtol=1e-5)


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_a_session_is_the_weighted_mean_of_its_items(metric: str) -> None:
    vectors = some_embeddings(6, 4, spread=0.7).vectors
    model = Vectors(metric=metric, decay=0.5).from_arrays(VOCAB, {"items": vectors})  # type: ignore[arg-type]
    items = vectors if metric == "l2" else vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for weights in (Weights(), Weights(0.8), Weights(idf=1.0), Weights(plays="log"), Weights(0.5, 1.0, "once")):
        counts = np.array(slow_weights(weights, "abcab"))
        expected = counts @ items[[0, 1, 2, 0, 1]] / counts.sum()
        encoded = model.with_weights(weights).encode(of_lists(["abcab", ""], VOCAB)).vectors
        np.testing.assert_allclose(encoded, [expected, np.zeros(4)], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_items_are_scaled_on_request(metric: str) -> None:
    """The same bits, whether all items are scaled or those of a few histories."""
    vectors = some_embeddings(6, 4, spread=0.7).vectors
    lists = ["abcab", "fa", "", "edcbaf"]
    encode = mean_encoder(vectors, 0.7, metric)  # type: ignore[arg-type]
    together = encode(of_lists(lists, VOCAB))
    for history, row in zip(lists, together, strict=True):
        assert encode(of_lists([history], VOCAB))[0].tobytes() == row.tobytes()
    spoilt = vectors.copy()
    spoilt[4] = np.nan  # nobody asks for it
    few = mean_encoder(spoilt, 0.7, metric)(of_lists(["fab"], VOCAB))  # type: ignore[arg-type]
    assert few.tobytes() == encode(of_lists(["fab"], VOCAB)).tobytes()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decay": 0}, r"decay must lie in \(0, 1\], but is 0"),
        ({"decay": 1.5}, r"decay must lie in \(0, 1\], but is 1.5"),
        ({"idf": -1}, "idf must be a power from 0, but is -1"),
        ({"idf": float("nan")}, "idf must be a power from 0, but is nan"),
        ({"plays": "twice"}, "plays must be one of each, once, log, but is 'twice'"),
    ],
)
def test_unknown_weights_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Weights(**settings)


def test_idf_needs_counts() -> None:
    with pytest.raises(SettingsError, match="these vectors have no item counts; set idf=0"):
        Weights(idf=1).of(of_lists(["ab"], Vocab(list("abcdef"))))
