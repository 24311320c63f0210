"""Vectors of items and users in training: embeddings of ids, plus those of features."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from embedrec.data.features import Features
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.models.array_packing import unpack_ids
from embedrec.models.feature_encoder import FeatureSum, encode_features, feature_sums, fit_features
from embedrec.models.warm_start import TrainingStart

_BLOCK = 1 << 14  # items at a time


class ItemUserVectors(nn.Module):
    """A network with n items and U users, which calls `create_item_features` and `create_users`.

    item_table    (n, d)
    known         (n, 1) float32, 1 where an id can be learned
    user_of       (E,) user of each event
    has_sessions  (U, 1) float32, 0 for users that have features only
    """

    item_table: nn.Parameter
    known: Tensor
    user_of: Tensor
    has_sessions: Tensor

    def __init__(self, dim: int, id_dropout: float, counts: np.ndarray) -> None:
        """Counts (n,) are the events of the items in training."""
        super().__init__()
        self.dim, self.id_dropout = dim, id_dropout
        self.item_table = self.create_table(len(counts))
        self.keep("known", (counts > 0).astype(np.float32)[:, None])
        self.item_features: FeatureSum | None = None
        self.user_table: nn.Parameter | None = None
        self.user_features: FeatureSum | None = None

    def create_table(self, rows: int) -> nn.Parameter:
        """Random vectors (rows, d)."""
        return nn.Parameter(torch.randn(rows, self.dim) / self.dim**0.5)

    def create_item_features(self, features: Features | None) -> None:
        """Embeddings of the features of items, if any."""
        if features is not None:
            self.item_features = FeatureSum(encode_features(features, self.known[:, 0].numpy() > 0), self.dim)

    def create_users(self, sessions: Sessions, users: Vocab | None, *, features: bool) -> None:
        """Embeddings of users and, with `features`, of their features; none without users."""
        if users is None:
            return
        assert sessions.users is not None
        user_of = users.rows_of(sessions.users)
        has_sessions = np.isin(np.arange(len(users)), user_of)
        self.keep("user_of", user_of[sessions.session_of])
        self.keep("has_sessions", has_sessions.astype(np.float32)[:, None])
        self.user_table = self.create_table(len(users))
        if features and sessions.user_features is not None:
            self.user_features = FeatureSum(
                encode_features(sessions.user_features.align(users), has_sessions), self.dim
            )

    def keep(self, name: str, array: np.ndarray) -> None:
        """Register data that training reads and checkpoints leave out."""
        self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array)), persistent=False)

    def item_vectors(self, rows: Tensor) -> Tensor:
        """The vectors of items: (u, d)."""
        known = self.known[rows]
        if self.training and self.item_features is not None and self.id_dropout:
            known = known * (torch.rand_like(known) >= self.id_dropout)
        vectors = functional.embedding(rows, self.item_table, sparse=True) * known
        return vectors if self.item_features is None else vectors + self.item_features(rows)

    def user_vectors(self, rows: Tensor) -> Tensor:
        """The user part of a query: (u, d)."""
        assert self.user_table is not None
        vectors = functional.embedding(rows, self.user_table, sparse=True) * self.has_sessions[rows]
        if self.training and self.id_dropout:
            vectors = vectors * (torch.rand(len(rows), 1, device=rows.device) >= self.id_dropout)
        return vectors if self.user_features is None else vectors + self.user_features(rows)

    @abstractmethod
    def query_arrays(self) -> Mapping[str, Tensor]:
        """The arrays that encode a history."""

    @torch.no_grad()
    def arrays(self) -> Mapping[str, np.ndarray]:
        """The arrays of the model, without dropout: "items" (n, d), "users" (U, d), and those of `query_arrays`."""
        before = self.training
        self.eval()
        device = self.item_table.device
        rows = torch.split(torch.arange(len(self.item_table), device=device), _BLOCK)
        arrays = {"items": torch.cat([self.item_vectors(r) for r in rows]), **self.query_arrays()}
        if self.user_table is not None:
            arrays["users"] = self.user_vectors(torch.arange(len(self.user_table), device=device))
        self.train(before)
        return {name: tensor.detach().float().cpu().contiguous().numpy().copy() for name, tensor in arrays.items()}


@torch.no_grad()
def start_items(network: ItemUserVectors, start: TrainingStart, vocab: Vocab, vectors: np.ndarray) -> None:
    """Start item vectors with those of a model (m, d); what features explain of them is no part of the ids' vectors.

    Feature embeddings start as the least-squares fit of the known items' vectors.
    """
    table, known = network.item_table, network.known[:, 0].numpy() > 0
    initial = start.vectors(table.numpy(), vocab, vectors)
    rest = initial
    if network.item_features is not None:
        fit_features(network.item_features, initial, known)
        rest = initial - feature_sums(network.item_features)
    table.copy_(torch.from_numpy(np.where(known[:, None], rest, 0)))


@torch.no_grad()
def start_users(network: ItemUserVectors, users: Vocab, arrays: Mapping[str, np.ndarray]) -> None:
    """Start user vectors with those of a model's arrays, as items; new users start with zero."""
    assert network.user_table is not None
    before = unpack_ids(arrays, "user")
    rows = before.rows_of(users.ids)
    vectors = np.where(rows[:, None] >= 0, arrays["users"][rows], np.float32(0))
    known = (rows >= 0) & (network.has_sessions[:, 0].numpy() > 0)
    if network.user_features is not None and known.any():
        fit_features(network.user_features, vectors, known)
        vectors = vectors - feature_sums(network.user_features) * known[:, None]
    network.user_table.copy_(torch.from_numpy(vectors))
