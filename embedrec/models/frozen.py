"""New items for a model whose vectors stay: they are solved against the old ones, which keep every byte.

Lists, indexes and other services go on using the old vectors, and no alignment is needed. The old items learn nothing
from new sessions, so that a model is trained again from time to time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from embedrec.config import settings_of
from embedrec.data.sessions import Sessions, check_sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models.base import Arrays
from embedrec.models.vector_model import VectorModel
from embedrec.progress import Report, quiet

M = TypeVar("M", bound=VectorModel)


@dataclass(frozen=True, eq=False)
class NewItems:
    """The items of new sessions, of which a model knows some.

    arrays    of the model
    sessions  in the vocabulary of the result: items (n,) that are mentioned often enough, as in a training
    old       (n,) int64 row of each item in the model, −1 for new items
    """

    arrays: Arrays
    sessions: Sessions
    old: np.ndarray

    @property
    def new(self) -> np.ndarray:
        """(n,) bool: items that the model lacks."""
        return self.old < 0

    @property
    def their_sessions(self) -> Sessions:
        """The sessions with a new item, in the same vocabulary."""
        events = self.new[self.sessions.items]
        return self.sessions.take(np.unique(self.sessions.session_of[events]))

    def extended(self, name: str) -> np.ndarray:
        """An array of the model (m, …) in the rows of the result (n, …), 0 for new items."""
        array = self.arrays[name]
        result = np.zeros((len(self.old), *array.shape[1:]), dtype=array.dtype)
        result[~self.new] = array[self.old[~self.new]]
        return result


@runtime_checkable
class FrozenRecipe(Protocol):
    """A recipe that can solve new items against old ones."""

    def solve_new_items(self, items: NewItems, *, seed: int, threads: int, report: Report) -> Arrays:
        """The arrays of the extended model: those of old items byte for byte, see `NewItems.extended`, and new ones."""
        ...


def extend_frozen(model: M, sessions: Sessions, *, seed: int = 0, threads: int = 1, report: Report = quiet) -> M:
    """The model with the new items of sessions, and with unchanged vectors of the others.

    sessions  all sessions that a training would have; items that they lack are left out of the result

    The vocabulary is that of a training on these sessions. Reports report("vocabulary", items=, left_out=), the
    number of items and of those that the model has and the sessions lack, and what the solution reports. Raises
    SettingsError for a model that cannot be extended, DataError if the sessions have none of its items.
    """
    recipe: Any = model.recipe
    if not isinstance(model.recipe, FrozenRecipe):
        raise SettingsError(f"{recipe.name} cannot solve new items against old vectors; align it instead, with --align")
    check_sessions(sessions)
    vocab = _vocabulary(sessions, int(settings_of(recipe).get("min_count", 1)))
    old = model.vocab.rows_of(vocab.ids)
    if not (old >= 0).any():
        raise DataError(
            f"the sessions have none of the {len(model.vocab):,} items of the model; train a new one on them"
        )
    report("vocabulary", items=len(vocab), left_out=len(model.vocab) - int((old >= 0).sum()))
    items = NewItems(model.arrays, sessions.reindex(vocab), old)
    arrays = model.recipe.solve_new_items(items, seed=seed, threads=threads, report=report)
    extended: M = recipe.from_arrays(vocab, arrays)
    return extended


def _vocabulary(sessions: Sessions, min_count: int) -> Vocab:
    """The items mentioned often enough, with their counts."""
    from embedrec.models.pair_counts import frequent_items

    rows, counts = frequent_items(sessions, min_count)
    return sessions.vocab.take(rows).with_counts(counts)
