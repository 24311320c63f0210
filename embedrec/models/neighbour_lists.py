"""The base of models that store a list of scored neighbours of every item, best first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from embedrec.data.topk import TopK, allowed_rows, check_neighbour_count, keep_rows
from embedrec.data.vocab import Vocab, valid_rows
from embedrec.errors import DataError
from embedrec.models.base import Arrays, ModelSettings, model_summary
from embedrec.text import Described, Summary

_BLOCK = 1 << 19  # values checked at a time


@dataclass(frozen=True, eq=False, repr=False)
class ListsModel(Described):
    """A model that stores item neighbours, and needs no vectors and no index.

    arrays  "items" (n, m) int32: the neighbours of each item, best first, −1 for none; "scores" (n, m) float32
    """

    PARTIAL: ClassVar[bool] = True

    recipe: ModelSettings
    vocab: Vocab
    arrays: Arrays

    def _summary(self) -> Summary:
        return model_summary(self.recipe, self.vocab, [f"lists of {self.arrays['items'].shape[1]}"])

    def neighbours(self, rows: np.ndarray, k: int, *, allowed: np.ndarray | None = None) -> TopK:
        """See `ItemNeighbours`. Fewer than k if the list of an item is shorter.

        allowed  items that may be results: (n,) bool or rows (m,); None for all
        """
        rows = valid_rows(rows, len(self.vocab))
        check_neighbour_count(k, len(self.vocab))
        reach = None if allowed is not None else k + 1
        items, scores = self.arrays["items"][rows, :reach], self.arrays["scores"][rows, :reach]  # (q, m or ≤ k + 1)
        if allowed is not None:
            matches = keep_rows(TopK(items, scores, self.vocab), allowed_rows(allowed, len(self.vocab))).first(k + 1)
            items, scores = matches.rows, matches.scores
        spare = ((0, 0), (0, k + 1 - items.shape[1]))
        wide = TopK(
            np.pad(items, spare, constant_values=-1), np.pad(scores, spare, constant_values=-np.inf), self.vocab
        )
        return wide.without(rows)


def check_lists(vocab: Vocab, arrays: Arrays, what: str) -> None:
    """Raises DataError when the arrays of a `ListsModel` do not fit; `what` names the content in messages."""
    items, scores = arrays["items"], arrays["scores"]
    step = max(1, _BLOCK // max(1, items.size // max(1, len(items))))
    for start in range(0, max(len(items), 1), step):  # TopK checks shape, order, and what is missing
        TopK(items[start : start + step], scores[start : start + step], vocab)
    if len(items) != len(vocab) or len(scores) != len(vocab):
        raise DataError(f"{len(vocab)} items need so many rows of {what}, but were given {items.shape}")
    if items.dtype != np.int32 or scores.dtype != np.float32:
        raise DataError(f"{what} must be int32 with float32 scores, but are {items.dtype} with {scores.dtype}")
    if items.size and not -1 <= items.min() <= items.max() < len(vocab):
        raise DataError(f"{what} must be rows of {len(vocab)} items, but some are out of range")
