"""Splits: what is trained on, and what is held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError


@dataclass(frozen=True, eq=False)
class NextItem:
    """Q questions: which item comes after this history?

    histories  Q sessions, in the vocabulary of the training part
    targets    (Q,) int64 rows of the items that came; −1 for an item that training does not know
    """

    histories: Sessions
    targets: np.ndarray

    def recoded(self, vocab: Vocab) -> NextItem:
        """The same questions in another vocabulary: unknown items leave the histories, unknown targets become −1."""
        if vocab is self.histories.vocab:
            return self
        new = vocab.rows(self.histories.vocab.ids)  # (n,) −1 where unknown
        targets = np.where(self.targets >= 0, new[self.targets], -1)
        return NextItem(self.histories.recoded(vocab), targets)


class Split(NamedTuple):
    """A training part, and questions about what it does not hold."""

    train: Sessions
    test: NextItem


def last_item_out(sessions: Sessions) -> Split:
    """Hold out the last item of every session of two or more; train on what comes before it.

    The training vocabulary is made from the training part only. Raises DataError when no session has two items.
    """
    asked = sessions.lengths >= 2  # (S,)
    if not asked.any():
        raise DataError("no session has two items, so none can be held out; prepare longer sessions")
    last = np.zeros(len(sessions.items), dtype=bool)
    last[sessions.offsets[1:][asked] - 1] = True
    train = sessions.where(~last).compacted()
    histories = sessions.where(~last).taken(np.flatnonzero(asked)).recoded(train.vocab)
    targets = train.vocab.rows(sessions.vocab.ids)[sessions.items[last]]
    return Split(train, NextItem(histories, targets))
