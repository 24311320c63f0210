"""Two towers: one makes vectors of items, the other of queries, and a good answer has a large product with its query.

Covington, Adams & Sargin 2016 (candidate generation at YouTube: history and features against items); Yi et al. 2019
(in-batch softmax with logQ correction, for two towers); Bengio & Senécal 2008 (sampled softmax); Hou et al. 2022 (CORE:
a session in the space of its items, cosine over a temperature); Klenitskiy & Vasilev 2023 (many negatives and
cross-entropy, rather than one and binary cross-entropy).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from embedrec.config import check_bounds
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError
from embedrec.models.array_packing import shaped, unpacked_ids
from embedrec.models.base import Arrays
from embedrec.models.session_encoders import Encoder, with_bias
from embedrec.models.torch_recipe import Neural, widths
from embedrec.models.vector_model import VectorModel
from embedrec.vectors.embeddings import Embeddings


@dataclass(frozen=True)
class TwoTower(Neural):
    """An item tower and a query tower.

    The item tower adds an item's id embedding and what its features say, and passes the sum through `item_layers`. The
    query tower takes the last `history` items' vectors to a weighted mean, adds that of the user, and passes the sum
    through `query_layers`. Layers add to what they are given (He et al. 2016).

    dim            length of a vector
    item_layers    hidden units of each layer of the item tower, as in "128,64"; "" for none
    query_layers   the same for the query tower
    history        last items of a session that a query sees; 0 for none, where `users` must be true
    decay          first weight of an item relative to the one after it; weights of places are learned from there
    attention      items have a weight of their own beside that of their place, learned
    users          a user has an embedding, where sessions name users; an unknown user's is zero. Users that have
                   features and no session are part of the model, by their features
    features       features of items and of users count, where sessions have them. Items that have features and never
                   occur are part of the model, marked cold
    id_dropout     share of ids that are taken away in training: of users, and of items that have features, so that the
                   rest of a query, or features alone, must do
    loss           "softmax" over the batch's targets and more items, or "bce" with random negatives
    negatives      softmax: items drawn for a batch beside its targets; bce: for each example. None is 2048 and 10
    ns_exponent    they are drawn in proportion to count ** ns_exponent; 0 is uniform
    logq           how much of log(expected draws) is taken off a score in training: 1 undoes that popular items
                   are drawn more often as negatives, 0 leaves it, and favours rare items
    half_life      days in which an event counts half as much in training, back from the last one; None counts all
                   alike. It needs times
    trend          half-life in days of what is popular now: an item's score gets the logarithm of how much more popular
                   it is of late than over the whole training (Zhang et al. 2021 inject the popularity expected). None
                   leaves it out. It needs times
    scoring        "cosine" or "dot"
    temperature    scores are divided by it in training
    learning_rate  of embeddings (Adagrad; Duchi et al. 2011)
    layer_rate     of all else (AdamW; Loshchilov & Hutter 2019)
    dropout        share of numbers of the history's vectors that are set to 0 in training
    epochs, batch, patience, watch, schedule, clip, precision   see `Plan`

    Raises SettingsError for values that are not allowed.
    """

    name: ClassVar[str] = "two-tower"
    SPACE: ClassVar[dict[str, str]] = {
        "learning_rate": "0.02..0.4 log",
        "temperature": "0.03..0.2 log",
        "dropout": "0..0.5",
        "history": "5..50 log",
        "logq": "0..1",
        "batch": "256,512,1024",
    }

    epochs: int = 20
    dim: int = 100
    item_layers: str = ""
    query_layers: str = ""
    history: int = 20
    decay: float = 0.8
    attention: bool = True
    users: bool = False
    features: bool = True
    id_dropout: float = 0.1
    loss: Literal["softmax", "bce"] = "softmax"
    negatives: int | None = None
    ns_exponent: float = 0.5
    logq: float = 1.0
    half_life: float | None = None
    trend: float | None = None
    scoring: Literal["cosine", "dot"] = "cosine"
    temperature: float = 0.07
    learning_rate: float = 0.1
    layer_rate: float = 0.001
    dropout: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, _BOUNDS)
        for field in ("item_layers", "query_layers"):
            widths(getattr(self, field), field)
        if not self.history and not self.users:
            raise SettingsError("a query needs a history or a user; set history above 0, or users=true")

    def learner(self, sessions: Sessions, *, seed: int, device: str) -> Any:
        """See `Neural.learner`."""
        from embedrec.models.two_tower.training import learner_of

        return learner_of(self, sessions, seed=seed, device=device)

    def restore(self, vocab: Vocab, arrays: Arrays) -> VectorModel:
        """The model of its arrays, see `TwoTowerLearner.model`. Raises DataError when they do not fit.

        Queries are made without torch.
        """
        tower = QueryTower.of(self, arrays)
        embeddings = Embeddings(shaped(arrays, "items", (len(vocab), self.dim), self.name), vocab, "cosine")
        shaped(arrays, "cold", (len(vocab),), self.name, "uint8")
        encoder = tower.encoder(arrays["items"])
        answers = embeddings if self.scoring == "cosine" else Embeddings(arrays["items"], vocab, "dot")
        if self.trend is not None:
            rise = shaped(arrays, "trend", (len(vocab),), self.name) * self.temperature
            answers, encoder = with_bias(answers, encoder, rise)
        return VectorModel(self, arrays, embeddings, encoder, answers, answers)


@dataclass(frozen=True, eq=False)
class QueryTower:
    """The query tower in NumPy.

    places     (L,) float32 logarithms of the weights of places, the last item's first
    attention  (d,) float32: an item's weight is exp(its vector · attention) times that of its place
    layers     pairs of a matrix (in, out) and a bias (out,); rectified in between
    users      (U, d) float32 of the users `user_ids`, or None
    """

    places: np.ndarray
    attention: np.ndarray
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    users: np.ndarray | None
    user_ids: Vocab | None

    @classmethod
    def of(cls, recipe: TwoTower, arrays: Arrays) -> QueryTower:
        """The tower of a model's arrays. Raises DataError when they do not fit the settings."""
        shapes = [recipe.dim, *widths(recipe.query_layers, "query_layers"), recipe.dim]
        layers = []
        for number in range(len(shapes) - 1 if recipe.query_layers else 0):
            layers.append((shaped(arrays, f"layer{number}", (shapes[number], shapes[number + 1]), recipe.name),
                           shaped(arrays, f"bias{number}", (shapes[number + 1],), recipe.name)))  # fmt: skip
        users, user_ids = None, None
        if "users" in arrays:
            user_ids = unpacked_ids(arrays, "user")
            users = shaped(arrays, "users", (len(user_ids), recipe.dim), recipe.name)
        places = shaped(arrays, "places", (recipe.history,), recipe.name)
        return cls(places, shaped(arrays, "attention", (recipe.dim,), recipe.name), tuple(layers), users, user_ids)

    def encoder(self, items: np.ndarray) -> Encoder:
        """Histories → queries (S, d) float32, over these item vectors (n, d). Of nothing known, the zero vector."""
        weights = np.exp(items.astype(np.float64) @ self.attention)  # (n,)

        def encode(histories: Sessions) -> np.ndarray:
            sums = self._mean(histories, items, weights)
            known = histories.lengths > 0
            if self.users is not None and self.user_ids is not None and histories.users is not None:
                rows = self.user_ids.rows_of(histories.users)
                sums[rows >= 0] += self.users[rows[rows >= 0]]
                known |= rows >= 0
            hidden = sums
            for number, (matrix, bias) in enumerate(self.layers):
                hidden = (np.maximum(hidden, 0) if number else hidden) @ matrix + bias
            return np.where(known[:, None], sums + hidden if self.layers else sums, 0).astype(np.float32)

        return encode

    def _mean(self, histories: Sessions, items: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The weighted means of the last items: (S, d)."""
        import scipy.sparse as sp

        ends = np.repeat(histories.offsets[1:], histories.lengths)
        age = ends - 1 - np.arange(len(histories.items))  # (E,) 0 for the last item
        near = age < len(self.places)
        values = np.zeros(len(age))
        values[near] = np.exp(self.places[age[near]].astype(np.float64)) * weights[histories.items[near]]
        shape = (len(histories), len(items))
        sums = sp.csr_matrix((values, histories.items.copy(), histories.offsets.copy()), shape)
        totals = np.asarray(sums.sum(axis=1)).reshape(-1, 1)
        return np.asarray((sums @ items) / np.where(totals > 0, totals, 1), dtype=np.float32)


_BOUNDS = {
    "dim": (1, 65536), "history": (0, 10000), "decay": (1e-6, 1), "id_dropout": (0, 0.99), "negatives": (0, 10**7),
    "ns_exponent": (-100, 100), "logq": (0, 1), "half_life": (1e-6, np.inf), "trend": (1e-6, np.inf),
    "temperature": (1e-6, np.inf), "learning_rate": (1e-9, 100), "layer_rate": (1e-9, 100), "dropout": (0, 0.99),
}  # fmt: skip
