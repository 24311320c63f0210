"""Session encoders: from a history to a query vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from embedrec.config import Settings
from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.vectors.embeddings import Embeddings, Metric
from embedrec.vectors.exact_search import unit


@dataclass(frozen=True)
class Weights(Settings):
    """The weight of an event in the vector of its session: a product of three factors. The defaults are the plain mean.

    decay  weight of an event relative to the one after it, in (0, 1]; small values use the last items only
    idf    rare items weigh more: ln(all mentions / those of the item) to this power (Spärck Jones 1972); 0 for off
    plays  repeated items: "each" event counts; "once", only the last event of an item; "log", the last event with
           weight 1 + ln(events)

    Raises SettingsError for values that are not allowed.
    """

    decay: float = 1.0
    idf: float = 0.0
    plays: Literal["each", "once", "log"] = "each"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.decay <= 1:
            raise SettingsError(f"decay must lie in (0, 1], but is {self.decay!r}")
        if not 0 <= self.idf < np.inf:
            raise SettingsError(f"idf must be a power from 0, but is {self.idf!r}")

    def of(self, sessions: Sessions) -> np.ndarray:
        """The weights of the events of sessions: (E,) float32.

        Mentions are the counts of the sessions' vocabulary. Raises SettingsError when idf needs them and they are
        missing.
        """
        vocab = sessions.vocab
        ends = np.repeat(sessions.offsets[1:], sessions.lengths)
        age = ends - 1 - np.arange(len(sessions.items))  # (E,) 0 for the last item
        weights = np.power(np.float64(self.decay), age)
        if self.idf:
            if vocab.counts is None:
                raise SettingsError("these vectors have no item counts; set idf=0")
            counts = np.maximum(vocab.counts, 1)
            weights *= (np.log(counts.sum() / counts) ** self.idf)[sessions.items]
        if self.plays != "each":
            weights *= _play_weights(sessions, len(vocab), self.plays)
        return weights.astype(np.float32)


def _play_weights(sessions: Sessions, n: int, plays: str) -> np.ndarray:
    """(E,) float64: 1, or 1 + ln(events of the item in the session), for the last event of an item; 0 for others."""
    from embedrec.kernels.inverted_index import mark_repeats

    last = mark_repeats(sessions.offsets, sessions.items, n) >= 0  # (E,)
    if plays == "once":
        return last.astype(np.float64)
    _, pair, counts = np.unique(sessions.session_of * n + sessions.items, return_inverse=True, return_counts=True)
    return np.where(last, 1 + np.log(counts)[pair], 0.0)


def add_bias(answers: Embeddings, encoder: Encoder, bias: np.ndarray) -> tuple[Embeddings, Encoder]:
    """Item and query vectors with one more coordinate, which adds a bias (n,) to the items' scores.

    For the cosine, both become unit vectors; the metric of the result is the dot product.
    """
    cosine = answers.metric == "cosine"
    vectors = unit(answers.vectors) if cosine else answers.vectors

    def encode(histories: Sessions) -> np.ndarray:
        queries = unit(encoder(histories)) if cosine else encoder(histories)
        return np.hstack([queries, np.ones((len(queries), 1), dtype=np.float32)])

    return Embeddings(np.hstack([vectors, bias[:, None].astype(np.float32)]), answers.vocab, "dot"), encode


def mean_encoder(vectors: np.ndarray, decay: float = 1.0, metric: Metric = "cosine") -> Encoder:
    """A history's vector is the weighted mean of its items' unit vectors; for "l2", of the vectors themselves.

    vectors  (n, d) item vectors
    decay    weight of an item relative to the one after it, see `Weights`. An empty history is the zero vector.
    """
    return weighted_encoder(vectors, Weights(decay), metric)


def weighted_encoder(items: np.ndarray, weights: Weights, metric: Metric = "l2") -> Encoder:
    """A history's vector is the weighted mean of its items', (n, d) float32; unless the metric is "l2", they are scaled
    to norm 1: only those of the histories, so that memory-mapped vectors stay on disk."""

    def encode(histories: Sessions) -> np.ndarray:
        import scipy.sparse as sp

        values, used, columns = weights.of(histories), items, histories.items.copy()
        if metric != "l2":
            if len(columns) < len(items):
                rows, columns = np.unique(columns, return_inverse=True)
                used = items[rows]
            used = unit(used)
        sums = sp.csr_matrix((values, columns, histories.offsets.copy()), (len(histories), len(used)))
        totals = np.asarray(sums.sum(axis=1)).reshape(-1, 1)  # (S, 1)
        return ((sums @ used) / np.where(totals > 0, totals, 1)).astype(np.float32)

    return encode


Encoder = Callable[[Sessions], np.ndarray]
