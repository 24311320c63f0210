"""What warm starts of all models share: checks, rows of old items, and initial vectors of new ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from embedrec.data.session_changes import SessionChanges
from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError
from embedrec.models.base import Arrays, Model


@dataclass(frozen=True, eq=False)
class TrainingStart:
    """The start of a training that continues a model.

    model     the finished model
    sessions  all sessions of the new one, of which the training may use a part
    """

    model: Model
    sessions: Sessions

    @property
    def arrays(self) -> Arrays:
        """The arrays of the model, before any rotation of a finished network."""
        arrays = self.model.arrays
        if "rotation" not in arrays:
            return arrays
        recipe: Any = self.model.recipe
        plain: Arrays = recipe.rotated(arrays, arrays["rotation"].T)
        return plain

    def rotated(self, arrays: Arrays) -> Arrays:
        """Arrays of the new model in the space of the old one."""
        recipe: Any = self.model.recipe
        rotation = self.model.arrays.get("rotation")
        turned: Arrays = arrays if rotation is None else recipe.rotated(arrays, rotation)
        return turned

    def of(self, vocab: Vocab) -> TrainingStart:
        """The same start with the sessions in another vocabulary."""
        return replace(self, sessions=self.sessions.reindex(vocab))

    def mentions(self, items: int) -> np.ndarray:
        """The events of each item in all sessions: (items,) int64."""
        return np.bincount(self.sessions.items, minlength=items)

    def vectors(self, initial: np.ndarray, vocab: Vocab, old: np.ndarray) -> np.ndarray:
        """`start_rows` of these items, among which are those of the sessions, in their order."""
        return start_rows(initial, vocab, old, self.model.vocab, self.sessions)

    def rows(self, initial: np.ndarray, vocab: Vocab, old: np.ndarray) -> np.ndarray:
        """`initial` (n, …) with the values of the old items (m, …)."""
        rows = self.model.vocab.rows_of(vocab.ids)
        values = initial.copy()
        values[rows >= 0] = old[rows[rows >= 0]]
        return values

    def start_squares(self, optimizers: Sequence[Any], table: Any, vocab: Vocab) -> None:
        """Start the sums of squared gradients of a table, if the model keeps them, see `training.row_squares`."""
        from embedrec.training.row_squares import start_squares

        if "squares" in self.arrays:
            none = np.zeros(len(table), dtype=np.float32)
            start_squares(optimizers, table, self.rows(none, vocab, self.arrays["squares"]))

    def check(self, recipe: Any, fields: Sequence[str]) -> None:
        """Raises SettingsError if a setting that shapes the arrays differs from that of the model."""
        for field in fields:
            old, new = getattr(self.model.recipe, field), getattr(recipe, field)
            if old != new:
                raise SettingsError(
                    f"a {recipe.name} model of {field}={old!r} cannot be continued with {field}={new!r}; "
                    "leave it as it is, or train without a warm start"
                )

    def digest(self) -> str:
        """The SHA-256 of the model's arrays, by which a checkpoint knows its start."""
        sha = hashlib.sha256()
        for name, array in sorted(self.arrays.items()):
            sha.update(name.encode() + np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()


_BESIDE = 2  # items on each side of a mention that are its context


def check_warm_start(recipe: Any, init: Model | None, changes: SessionChanges | None, sessions: Sessions) -> None:
    """Raises SettingsError for a model of another kind, and for changes without a model or to other sessions."""
    if init is not None and init.recipe.name != recipe.name:
        raise SettingsError(
            f"{recipe.name} cannot continue a model of {init.recipe.name}; give a model of {recipe.name}"
        )
    if changes is None:
        return
    if init is None:
        raise SettingsError("changes need the model of the old sessions; give it as init")
    if len(changes.new) != len(sessions) or len(changes.new.items) != len(sessions.items):
        raise SettingsError(
            f"changes lead to {len(changes.new)} sessions of {len(changes.new.items)} events, but given are "
            f"{len(sessions)} of {len(sessions.items)}; compare the sessions that are trained on"
        )


def start_rows(table: np.ndarray, vocab: Vocab, old: np.ndarray, known: Vocab, sessions: Sessions) -> np.ndarray:
    """Initial vectors (n, d) of the items of `vocab`: those of `old` (m, d) by id, and for the others the mean of their
    contexts, or the rows of `table` (n, d) if they have none.

    known     (m) the items of `old`
    sessions  in the vocabulary `vocab`
    """
    rows = known.rows_of(vocab.ids)
    vectors = table.copy()
    vectors[rows >= 0] = old[rows[rows >= 0]]
    means, counts = context_means(sessions, vectors, rows >= 0)
    vectors[counts > 0] = means[counts > 0]
    return vectors


def context_means(sessions: Sessions, vectors: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each item that is not known, the mean vector of the known items up to two places before and after it.

    sessions  of n items
    vectors   (n, d)
    known     (n,) bool

    Returns (n, d) and the number of these items (n,), both 0 for known items and for those with none beside them.
    """
    sums, counts = np.zeros(vectors.shape, dtype=np.float64), np.zeros(len(vectors), dtype=np.int64)
    session = sessions.session_of
    (new,) = np.nonzero(~known[sessions.items])  # events
    for shift in (*range(-_BESIDE, 0), *range(1, _BESIDE + 1)):
        beside = new + shift
        valid = (beside >= 0) & (beside < len(session))
        event, other = new[valid], beside[valid]
        valid = (session[event] == session[other]) & known[sessions.items[other]]
        item, other = sessions.items[event[valid]], sessions.items[other[valid]]
        np.add.at(sums, item, vectors[other])
        np.add.at(counts, item, 1)
    return (sums / np.maximum(counts, 1)[:, None]).astype(vectors.dtype), counts
