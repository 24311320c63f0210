"""Questions: which items come after this history? Histories are a view of sessions, so that asking after every
prefix of every session copies nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.splitting.holdout import HeldOut


@dataclass(frozen=True, eq=False)
class TestCases:
    """Q questions with T right answers in all.

    sessions  what histories are prefixes of
    session   (Q,) int64 numbers of sessions
    length    (Q,) int64: so many first items of the session are the history
    offsets   (Q+1,) int64: question q's targets are `targets[offsets[q]:offsets[q + 1]]`, at least one, each once
    targets   (T,) int64 rows in the sessions' vocabulary, −1 for an item it does not hold

    Raises DataError when they do not fit together.
    """

    sessions: Sessions
    session: np.ndarray
    length: np.ndarray
    offsets: np.ndarray
    targets: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.session) == len(self.length) == len(self.offsets) - 1:
            raise DataError("questions need a session, a length and targets each")
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.targets) or (np.diff(self.offsets) < 1).any():
            raise DataError("every question needs a target")
        if len(self) and (
            (self.length < 0).any()
            or self.session.min() < 0
            or self.session.max() >= len(self.sessions)
            or (self.length > self.sessions.lengths[self.session]).any()
        ):
            raise DataError("histories must be prefixes of the sessions")

    def __len__(self) -> int:
        return len(self.session)

    @property
    def relevant(self) -> np.ndarray:
        """Targets a question: (Q,) int64."""
        return np.diff(self.offsets)

    def histories(self, start: int, stop: int) -> Sessions:
        """The histories of questions start … stop − 1, as sessions numbered by question."""
        prefixes = self.sessions.take(self.session[start:stop], self.length[start:stop])
        return replace(prefixes, ids=np.arange(start, start + len(prefixes)))

    def reindex(self, vocab: Vocab) -> TestCases:
        """The same questions in another vocabulary: items it does not hold leave the histories, such targets are −1."""
        if vocab is self.sessions.vocab:
            return self
        new = vocab.rows_of(self.sessions.vocab.ids)  # (n,) −1 where unknown
        sessions = self.sessions.reindex(vocab)
        known = np.concatenate([[0], np.cumsum((new >= 0)[self.sessions.items])])  # (E+1,) before each event
        first = self.sessions.offsets[self.session]
        length = known[first + self.length] - known[first]
        return replace(
            self,
            sessions=sessions,
            length=length,
            targets=np.where(self.targets >= 0, new[self.targets], -1),
        )

    def where(self, keep: np.ndarray) -> TestCases:
        """The questions of a mask (Q,) bool."""
        counts = self.relevant[keep]
        return replace(
            self,
            session=self.session[keep],
            length=self.length[keep],
            offsets=np.concatenate([[0], np.cumsum(counts)]),
            targets=self.targets[np.repeat(keep, self.relevant)],
        )

    def answerable(self) -> TestCases:
        """Without unknown targets, and without the questions that had no other."""
        known = self.targets >= 0  # (T,)
        counts = np.add.reduceat(known, self.offsets[:-1], dtype=np.int64) if len(self) else np.zeros(0, np.int64)
        some = counts > 0
        return replace(
            self,
            session=self.session[some],
            length=self.length[some],
            offsets=np.concatenate([[0], np.cumsum(counts[some])]),
            targets=self.targets[known],
        )


def next_items(test: HeldOut, which: Literal["every", "last"] = "every") -> TestCases:
    """After every prefix (or the longest one only) of every held-out session: which item comes next?

    At least one item is given, and all that `test.given` says. Raises DataError when no session has two items.
    """
    lengths = test.sessions.lengths
    first = np.maximum(test.given, 1)  # (S,) the shortest history
    if which == "last":
        first = np.maximum(first, lengths - 1)
    count = np.maximum(lengths - first, 0)  # questions a session
    session = np.repeat(np.arange(len(test)), count)
    length = np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())
    _check_some(len(session), "no held-out session has an item to ask for after the first")
    targets = test.sessions.items[test.sessions.offsets[session] + length].astype(np.int64)
    return TestCases(test.sessions, session, length, np.arange(len(session) + 1), targets)


def remaining_items(test: HeldOut, given: int | None = None) -> TestCases:
    """After the first items of every held-out session: which items come in the rest of it, in any order?

    given  so many first items are the history; None takes `test.given`, as after a split in time by user, and raises
           SettingsError where that is nothing

    Raises SettingsError for a number below 1, DataError when no session is longer.
    """
    if given is None:
        if not test.given.all():
            raise SettingsError(
                "nothing of these held-out sessions is given; split in time by user (warm-time), or ask with "
                "--protocol rest, where --given says how many first items are"
            )
    elif given < 1:
        raise SettingsError(f"given must be at least 1, but is {given}")
    history = np.maximum(test.given, given or 0)  # (S,)
    sessions, n = test.sessions, max(len(test.sessions.vocab), 1)
    asked = np.flatnonzero(sessions.lengths > history)
    _check_some(len(asked), "no held-out session is longer than what is given of it")
    session = sessions.session_of
    late = sessions.place_of >= history[session]
    pairs = np.unique(session[late] * n + sessions.items[late])  # each item once a session
    counts = np.bincount(pairs // n, minlength=len(sessions))[asked]
    return TestCases(sessions, asked, history[asked], np.concatenate([[0], np.cumsum(counts)]), pairs % n)


def cooccurring_items(test: HeldOut, vocab: Vocab, *, queries: int = 5, seed: int = 0) -> TestCases:
    """Which items stand beside this one in a session nobody has seen?

    Of every held-out session with at least `queries` distinct items in `vocab` beyond what is given of it, so many are
    drawn; each is asked alone, and the others are the targets. Raises DataError when no session has so many.
    """
    held = test.sessions.filter_events(test.sessions.place_of >= np.repeat(test.given, test.sessions.lengths))
    sessions, n = held.reindex(vocab), max(len(vocab), 1)
    pairs = np.unique(sessions.session_of * n + sessions.items)
    session, item = pairs // n, pairs % n
    counts = np.bincount(session, minlength=len(sessions))  # (S,) distinct items
    asked = np.flatnonzero(counts >= max(queries, 2))
    _check_some(len(asked), f"no session has {max(queries, 2)} items that are held out and known from training")
    # the drawn items are those of the smallest random numbers in their session
    order = np.lexsort([np.random.default_rng(seed).random(len(pairs)), session])
    starts = np.cumsum(counts) - counts
    drawn = order[(starts[asked, None] + np.arange(queries)).ravel()]  # (Q,) places in `pairs`
    sizes = counts[session[drawn]]
    beside = np.repeat(starts[session[drawn]] - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
    other = beside != np.repeat(drawn, sizes)
    alone = Sessions(np.arange(len(drawn) + 1), item[drawn], vocab, test.sessions.ids[session[drawn]])
    offsets = np.concatenate([[0], np.cumsum(sizes - 1)])
    one = np.ones(len(drawn), dtype=np.int64)
    return TestCases(alone, np.arange(len(drawn)), one, offsets, item[beside[other]])


def _check_some(count: int, problem: str) -> None:
    if not count:
        raise DataError(f"{problem}; hold out longer sessions")
