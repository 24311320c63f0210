"""The held-out part of a data set: sessions, and how many first events of each are given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab, unify_ids
from embedrec.errors import DataError
from embedrec.storage import artifacts

PART = "test_"  # prefix of its files in a sessions artifact


@dataclass(frozen=True, eq=False)
class HeldOut:
    """S sessions whose first events may be given; the others are held out.

    sessions  in their own vocabulary, which may contain items unknown to training
    given     (S,) int64: number of first events that are known or belong to the training part, and are never targets;
              from 0 to the session's length

    Raises DataError for an invalid `given`.
    """

    sessions: Sessions
    given: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "given", np.asarray(self.given, dtype=np.int64))
        if self.given.shape != (len(self.sessions),):
            raise DataError(
                f"`given` needs {len(self.sessions)} numbers, one per held-out session, but has shape "
                f"{self.given.shape}"
            )
        if (self.given < 0).any() or (self.given > self.sessions.lengths).any():
            raise DataError("`given` must be from 0 to the length of its held-out session; check it")

    def __len__(self) -> int:
        return len(self.sessions)

    def write(self, draft: artifacts.Draft) -> None:
        """Write the files of this part into a sessions artifact."""
        self.sessions.write(draft, PART)
        draft.array(f"{PART}given", self.given)

    def align(self, train: Sessions) -> tuple[Sessions, HeldOut]:
        """A training part and this one with ids of one type, that of training, or text if necessary, so that equal ids
        compare equal.
        """
        items = unify_ids(train.vocab.ids, self.sessions.vocab.ids)
        ids = unify_ids(train.ids, self.sessions.ids)
        users = [train.users, self.sessions.users]
        if train.users is not None and self.sessions.users is not None:
            users = [*unify_ids(train.users, self.sessions.users)]
        parts = [
            replace(part, vocab=Vocab(items[n], part.vocab.names, part.vocab.counts), ids=ids[n], users=users[n])
            for n, part in enumerate((train, self.sessions))
        ]
        return parts[0], replace(self, sessions=parts[1])

    @classmethod
    def load(cls, source: artifacts.Artifact | str | Path) -> HeldOut | None:
        """The held-out part of a sessions artifact, given as one or as its folder; None if it has none.

        Raises ArtifactError for another kind of artifact and for a damaged one.
        """
        artifact = artifacts.as_artifact(source, "sessions")
        if not has_held_out(artifact):
            return None
        with artifacts.opening(artifact, "prepare the data again"):
            return cls(Sessions.load(artifact, PART), artifact.array(f"{PART}given", "int64"))


def has_held_out(sessions: artifacts.Artifact) -> bool:
    """Whether a sessions artifact has a held-out part."""
    return f"{PART}given.npy" in sessions


@dataclass(frozen=True)
class HeldOutCounts:
    """Numbers of sessions, distinct items, events, and given events of a held-out part."""

    sessions: int
    items: int
    events: int
    given: int


def describe_held_out(held_out: HeldOut) -> HeldOutCounts:
    """Counts of a held-out part."""
    items = held_out.sessions.items
    return HeldOutCounts(len(held_out), len(np.unique(items)), len(items), int(held_out.given.sum()))
