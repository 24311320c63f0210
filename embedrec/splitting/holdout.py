"""The held-out part of a data set: sessions, and how much of each is given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab, one_kind
from embedrec.errors import DataError
from embedrec.storage import artifacts

PART = "test_"  # before the names of its files in a sessions artifact


@dataclass(frozen=True, eq=False)
class HeldOut:
    """S sessions of which the first events may be known, and the rest is held out.

    sessions  in a vocabulary of their own: they may hold items that training does not know
    given     (S,) int64: so many first events are known, or belong to the training part, and are never asked for;
              0 where nothing is, at most the session's length

    Raises DataError when `given` does not fit.
    """

    sessions: Sessions
    given: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "given", np.asarray(self.given, dtype=np.int64))
        if self.given.shape != (len(self.sessions),):
            raise DataError(
                f"{len(self.sessions)} held-out sessions were given shape {self.given.shape} of lengths that are known"
            )
        if (self.given < 0).any() or (self.given > self.sessions.lengths).any():
            raise DataError("of a held-out session between none and all events can be known; check `given`")

    def __len__(self) -> int:
        return len(self.sessions)

    def write(self, draft: artifacts.Draft) -> None:
        """Write the files of this part into a sessions artifact, beside the training part."""
        self.sessions.write(draft, PART)
        draft.array(f"{PART}given", self.given)

    def beside(self, train: Sessions) -> tuple[Sessions, HeldOut]:
        """A training part and this one with ids of one kind: that of training, or texts where that cannot be.

        So that an id is the same in both, whatever else stands in their files.
        """
        items = one_kind(train.vocab.ids, self.sessions.vocab.ids)
        ids = one_kind(train.ids, self.sessions.ids)
        users = [train.users, self.sessions.users]
        if train.users is not None and self.sessions.users is not None:
            users = [*one_kind(train.users, self.sessions.users)]
        parts = [
            replace(part, vocab=Vocab(items[n], part.vocab.names, part.vocab.counts), ids=ids[n], users=users[n])
            for n, part in enumerate((train, self.sessions))
        ]
        return parts[0], replace(self, sessions=parts[1])

    @classmethod
    def load(cls, source: artifacts.Artifact | str | Path) -> HeldOut | None:
        """The held-out part of a sessions artifact, given as one or as its folder; None where it has none.

        Raises ArtifactError when it is no sessions artifact, and when it is damaged.
        """
        artifact = artifacts.opened(source, "sessions")
        if f"{PART}given.npy" not in artifact:
            return None
        with artifacts.opening(artifact, "prepare the data again"):
            return cls(Sessions.load(artifact, PART), artifact.array(f"{PART}given", "int64"))


@dataclass(frozen=True)
class HeldOutCounts:
    """Of a held-out part: its sessions, distinct items and events, and how many of the events are given."""

    sessions: int
    items: int
    events: int
    given: int


def describe_held_out(held_out: HeldOut) -> HeldOutCounts:
    """Counts of a held-out part."""
    items = held_out.sessions.items
    return HeldOutCounts(len(held_out), len(np.unique(items)), len(items), int(held_out.given.sum()))
