"""Feature encoder: the sum of embeddings of categories and a linear map of numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from embedrec.data.features import Features
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.models.array_packing import names_or_empty


@dataclass(frozen=True, eq=False)
class EncodedFeatures:
    """Features of m rows, encoded as w words (category values) and f numbers.

    offsets  (m+1,) int64; row r has the words `words[offsets[r]:offsets[r + 1]]`
    words    (L,) int64
    weights  (L,) float32: 1 for the word of a category, 1 / length for each of a list
    count    w
    numbers  (m, f) float32, standardised, 0 for missing
    """

    offsets: np.ndarray
    words: np.ndarray
    weights: np.ndarray
    count: int
    numbers: np.ndarray


def encode_features(features: Features, known: np.ndarray) -> EncodedFeatures:
    """Encode features; means and deviations are those of the rows of a mask (m,) bool."""
    m = len(features)
    rows, words, weights, count = [], [], [], 0
    for column in features.categorical.values():
        valid = np.flatnonzero(column.codes >= 0)
        rows.append(valid)
        words.append(column.codes[valid].astype(np.int64) + count)
        weights.append(np.ones(len(valid)))
        count += len(column.names)
    for lists in features.lists.values():
        lengths = np.diff(lists.offsets)
        rows.append(np.repeat(np.arange(m), lengths))
        words.append(lists.codes.astype(np.int64) + count)
        weights.append(np.repeat(1 / np.maximum(lengths, 1), lengths))
        count += len(lists.names)
    row, word, weight = (np.concatenate([np.zeros(0, np.int64), *parts]) for parts in (rows, words, weights))
    order = np.argsort(row, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(row.astype(np.int64), minlength=m))])
    scaling = features.scaling(features.vocab.take(np.flatnonzero(known)))
    return EncodedFeatures(
        offsets, word[order].astype(np.int64), weight[order].astype(np.float32), count, scaling.matrix(features)
    )


def catalogue(sessions: Sessions, *, features: bool) -> tuple[Vocab, Features | None]:
    """The items of a model with their features: items of the sessions, then items that only have features."""
    vocab, known = sessions.vocab, sessions.item_features
    if not features or known is None:
        return vocab, None
    if known.vocab.integer == vocab.integer:
        new = np.flatnonzero(vocab.rows(known.vocab.ids) < 0)
        if len(new):
            names = None
            if vocab.names is not None or known.vocab.names is not None:
                names = np.append(names_or_empty(vocab), names_or_empty(known.vocab)[new])
            counts = None if vocab.counts is None else np.append(vocab.counts, np.zeros(len(new), dtype=np.int64))
            vocab = Vocab(np.append(vocab.ids, known.vocab.ids[new]), names, counts)
    return vocab, known.align(vocab)


def all_users(sessions: Sessions, *, features: bool) -> Vocab | None:
    """The users of a model: users of the sessions, then users that only have features; None without users."""
    if sessions.users is None:
        return None
    users, known = Vocab(np.unique(sessions.users)), sessions.user_features
    if not features or known is None or known.vocab.integer != users.integer:
        return users
    new = known.vocab.ids[users.rows(known.vocab.ids) < 0]
    return Vocab(np.append(users.ids, new)) if len(new) else users


class FeatureSum(nn.Module):
    """Rows → the sum of their feature embeddings, (u, d)."""

    offsets: Tensor
    words: Tensor
    weights: Tensor
    numbers: Tensor

    def __init__(self, coded: EncodedFeatures, dim: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(max(coded.count, 1), dim) / dim**0.5)
        self.linear = nn.Linear(coded.numbers.shape[1], dim, bias=False) if coded.numbers.shape[1] else None
        for name in ("offsets", "words", "weights", "numbers"):
            self.register_buffer(name, torch.from_numpy(getattr(coded, name)), persistent=False)

    def forward(self, rows: Tensor) -> Tensor:
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        bags = torch.cumsum(lengths, 0) - lengths
        at = torch.arange(int(lengths.sum()), device=rows.device)
        at = at + torch.repeat_interleave(self.offsets[rows] - bags, lengths)
        sums = functional.embedding_bag(
            self.words[at], self.table, bags, mode="sum", per_sample_weights=self.weights[at], sparse=True
        )
        return sums if self.linear is None else sums + self.linear(self.numbers[rows])


@torch.no_grad()
def feature_sums(features: FeatureSum) -> np.ndarray:
    """The sums of all rows: (n, d)."""
    return np.asarray(features(torch.arange(len(features.offsets) - 1)).numpy())


@torch.no_grad()
def fit_features(features: FeatureSum, vectors: np.ndarray, known: np.ndarray) -> None:
    """Set the embeddings to the ridge regression of the vectors (n, d) of known rows (n,) bool on their features."""
    import scipy.sparse as sp
    from scipy.sparse.linalg import LinearOperator, cg

    count, numbers = len(features.table), features.numbers.numpy()
    shape = (len(vectors), count)
    words = sp.csr_matrix((features.weights.numpy(), features.words.numpy(), features.offsets.numpy()), shape)
    matrix = sp.hstack([words, sp.csr_matrix(numbers)]).tocsr()[np.flatnonzero(known)]  # (k, w + f)
    width = matrix.shape[1]
    normal = LinearOperator((width, width), lambda x: matrix.T @ (matrix @ x) + _RIDGE * x, dtype=np.float32)
    right = matrix.T @ vectors[known]  # (w + f, d)
    solved = np.stack([cg(normal, column, rtol=1e-4, maxiter=50)[0] for column in right.T], axis=1)
    features.table.copy_(torch.from_numpy(solved[:count].astype(np.float32)))
    if features.linear is not None:
        features.linear.weight.copy_(torch.from_numpy(solved[count:].T.astype(np.float32)))


_RIDGE = 1.0
_SPARSE = 50  # tables with more than so many times the given rows: sort the rows


def distinct(rows: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The distinct values (u,) of rows (t,) of a table of n, ascending, and the index (t,) of each row in them."""
    if n > _SPARSE * len(rows):
        unique, place = torch.unique(rows, return_inverse=True)
        return unique, place
    occurs = torch.zeros(n, dtype=torch.int64, device=rows.device)  # faster than sorting
    occurs[rows] = 1
    return torch.nonzero(occurs)[:, 0], torch.cumsum(occurs, 0)[rows] - 1
