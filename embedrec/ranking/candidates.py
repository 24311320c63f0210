"""Candidates: the union of the lists of several models, with the rank and the score in each list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np


class ModelLists(NamedTuple):
    """What a model proposes for Q questions.

    rows     (Q, c) of a vocabulary, best first, −1 for missing
    scores   (Q, c) float32
    queries  (Q, e) float32 that the model compared with its vectors; None for a model without vectors
    """

    rows: np.ndarray
    scores: np.ndarray
    queries: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Candidates:
    """N candidates of Q questions, proposed by P models.

    offsets  (Q+1,) int64: the candidates of question q are `items[offsets[q]:offsets[q + 1]]`
    items    (N,) int32 rows of a vocabulary, each at most once a question; in order of rank, equal ranks in the order
             of the models
    ranks    (N, P) int32 rank in the list of model p, from 0; −1 where it is absent
    scores   (N, P) float32 score of model p; NaN where it is absent
    queries  P, see `ModelLists`
    """

    offsets: np.ndarray
    items: np.ndarray
    ranks: np.ndarray
    scores: np.ndarray
    queries: tuple[np.ndarray | None, ...]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def question_of(self) -> np.ndarray:
        """The question of each candidate: (N,) int64."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def filter(self, keep: np.ndarray) -> Candidates:
        """The candidates of a mask (N,) bool; their ranks stay as they are."""
        before = np.concatenate([[0], np.cumsum(keep)])
        items, ranks, scores = self.items[keep], self.ranks[keep], self.scores[keep]
        return replace(self, offsets=before[self.offsets], items=items, ranks=ranks, scores=scores)


def merge_lists(lists: Sequence[ModelLists]) -> Candidates:
    """The union of the lists of P models, with rows of one vocabulary."""
    from embedrec.kernels import merge_lists as kernel

    rows = np.concatenate([own.rows for own in lists], axis=1, dtype=np.int32, casting="same_kind")  # (Q, c)
    scores = np.concatenate([own.scores for own in lists], axis=1, dtype=np.float32, casting="same_kind")
    starts = np.zeros(len(lists) + 1, dtype=np.int64)
    np.cumsum([own.rows.shape[1] for own in lists], out=starts[1:])
    bits = max(1, int(2 * rows.shape[1] - 1).bit_length())
    offsets, most = np.empty(len(rows) + 1, dtype=np.int64), rows.size
    items = np.empty(most, dtype=np.int32)
    ranks = np.empty((most, len(lists)), dtype=np.int32)
    item_scores = np.empty((most, len(lists)), dtype=np.float32)
    slots = np.full(1 << bits, -1, dtype=np.int64)
    kernel.merge_lists(rows, scores, starts, slots, 64 - bits, offsets, items, ranks, item_scores)
    total = int(offsets[-1])
    queries = tuple(own.queries for own in lists)
    return Candidates(offsets, items[:total], ranks[:total], item_scores[:total], queries)
