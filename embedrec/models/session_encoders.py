"""How a history becomes a query vector."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from embedrec.data.sessions import Sessions

if TYPE_CHECKING:
    pass

from dataclasses import dataclass
from typing import Literal

from embedrec.config import Settings
from embedrec.errors import SettingsError
from embedrec.vectors.embeddings import Embeddings, Metric
from embedrec.vectors.exact_search import unit


@dataclass(frozen=True)
class Weights(Settings):
    """What an event counts in the vector of its session: the product of three. The defaults are the plain mean.

    decay  weight of an event relative to the one after it, in (0, 1]; small values listen to the last items only
    idf    rare items count more: ln(all mentions / those of the item) to this power (Spärck Jones 1972); 0 for not
    plays  items that come again: "each" event counts, so that an item counts as often as it was played; "once", only
           its last event; "log", its last event, 1 + ln(events)

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
        """What the events of sessions count: (E,) float32.

        Mentions are the counts of the sessions' vocabulary. Raises SettingsError when idf needs them and lacks them.
        """
        vocab = sessions.vocab
        ends = np.repeat(sessions.offsets[1:], sessions.lengths)
        age = ends - 1 - np.arange(len(sessions.items))  # (E,) 0 for the last item
        weights = np.power(np.float64(self.decay), age)
        if self.idf:
            if vocab.counts is None:
                raise SettingsError("how often items are mentioned is not known for these vectors; set idf=0")
            counts = np.maximum(vocab.counts, 1)
            weights *= (np.log(counts.sum() / counts) ** self.idf)[sessions.items]
        if self.plays != "each":
            weights *= _plays(sessions, len(vocab), self.plays)
        return weights.astype(np.float32)


def _plays(sessions: Sessions, n: int, how: str) -> np.ndarray:
    """(E,) float64: 1, or 1 + ln(events of the item in the session), for the last event of an item; 0 for others."""
    from embedrec.kernels.inverted_index import coded

    last = coded(sessions.offsets, sessions.items, n) >= 0  # (E,)
    if how == "once":
        return last.astype(np.float64)
    _, pair, counts = np.unique(sessions.session_of * n + sessions.items, return_inverse=True, return_counts=True)
    return np.where(last, 1 + np.log(counts)[pair], 0.0)


def with_bias(answers: Embeddings, encoder: Encoder, bias: np.ndarray) -> tuple[Embeddings, Encoder]:
    """Answers and queries of one more coordinate, so that a bias (n,) is added to each item's score.

    Answers compared by cosine become unit vectors, and their queries too; both are found by dot product then.
    """
    cosine = answers.metric == "cosine"
    vectors = unit(answers.vectors) if cosine else answers.vectors

    def encode(histories: Sessions) -> np.ndarray:
        queries = unit(encoder(histories)) if cosine else encoder(histories)
        return np.hstack([queries, np.ones((len(queries), 1), dtype=np.float32)])

    return Embeddings(np.hstack([vectors, bias[:, None].astype(np.float32)]), answers.vocab, "dot"), encode


def mean_encoder(vectors: np.ndarray, decay: float = 1.0, metric: Metric = "cosine") -> Encoder:
    """A history's vector is the weighted mean of its items' unit vectors; of the vectors as they are for "l2".

    vectors  (n, d) item vectors
    decay    weight of an item relative to the one after it, see `Weights`. An empty history is the zero vector.
    """
    return weighted_encoder(vectors, Weights(decay), metric)


def weighted_encoder(items: np.ndarray, weights: Weights, metric: Metric = "l2") -> Encoder:
    """A history's vector is the weighted mean of its items', (n, d) float32; "l2" takes them as they are, else they are
    scaled to norm 1: those that are asked for, so that vectors may stay in their file."""

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
