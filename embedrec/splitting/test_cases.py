"""Test cases: a history and the items that follow it. Histories are prefixes of sessions, so that test cases of every
prefix need no copies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.splitting.holdout import HeldOut


@dataclass(frozen=True, eq=False)
class TestCases:
    """Q test cases with T targets in all.

    sessions  the sessions whose prefixes are the histories
    session   (Q,) int64 numbers of sessions
    length    (Q,) int64 number of first items of the session that are the history
    offsets   (Q+1,) int64: the targets of case q are `targets[offsets[q]:offsets[q + 1]]`, at least one, each once
    targets   (T,) int64 rows in the sessions' vocabulary, −1 for an unknown item

    Raises DataError for inconsistent arrays.
    """

    __test__: ClassVar[bool] = False  # no test class of pytest

    sessions: Sessions
    session: np.ndarray
    length: np.ndarray
    offsets: np.ndarray
    targets: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.session) == len(self.length) == len(self.offsets) - 1:
            raise DataError("every test case needs a session, a length and targets")
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.targets) or (np.diff(self.offsets) < 1).any():
            raise DataError("every test case needs a target")
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
        """Number of targets of each case: (Q,) int64."""
        return np.diff(self.offsets)

    def histories(self, start: int, stop: int) -> Sessions:
        """The histories of cases start … stop − 1, as sessions whose ids are the cases' numbers."""
        prefixes = self.sessions.take(self.session[start:stop], self.length[start:stop])
        return replace(prefixes, ids=np.arange(start, start + len(prefixes)))

    def reindex(self, vocab: Vocab) -> TestCases:
        """The same cases in another vocabulary: unknown items are removed from histories, and are −1 as targets."""
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

    def filter(self, keep: np.ndarray) -> TestCases:
        """The cases of a mask (Q,) bool."""
        counts = self.relevant[keep]
        return replace(
            self,
            session=self.session[keep],
            length=self.length[keep],
            offsets=np.concatenate([[0], np.cumsum(counts)]),
            targets=self.targets[np.repeat(keep, self.relevant)],
        )

    def answerable(self) -> TestCases:
        """The cases with a known target, without unknown targets."""
        known = self.targets >= 0  # (T,)
        counts = np.add.reduceat(known, self.offsets[:-1], dtype=np.int64) if len(self) else np.zeros(0, np.int64)
        keep = counts > 0
        return replace(
            self,
            session=self.session[keep],
            length=self.length[keep],
            offsets=np.concatenate([[0], np.cumsum(counts[keep])]),
            targets=self.targets[known],
        )


def next_items(test: HeldOut, which: Literal["every", "last"] = "every") -> TestCases:
    """Every prefix of every held-out session, or its longest only, with the next item as the target.

    A history has at least one item, and all that are given. Raises DataError if no session has two items.
    """
    lengths = test.sessions.lengths
    first = np.maximum(test.given, 1)  # (S,) the shortest history
    if which == "last":
        first = np.maximum(first, lengths - 1)
    count = np.maximum(lengths - first, 0)  # cases a session
    session = np.repeat(np.arange(len(test)), count)
    length = np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())
    _check_any(len(session), "no held-out session has an item after the first")
    targets = test.sessions.items[test.sessions.offsets[session] + length].astype(np.int64)
    return TestCases(test.sessions, session, length, np.arange(len(session) + 1), targets)


def remaining_items(test: HeldOut, given: int | None = None) -> TestCases:
    """The first items of every held-out session, with all other items, in any order, as the targets.

    given  length of the history; None takes `test.given`, as after a split in time by user, and raises SettingsError
           if it is 0

    Raises SettingsError for a number below 1, DataError if no session is longer.
    """
    if given is None:
        if not test.given.all():
            raise SettingsError(
                "the held-out sessions have no given items; split in time by user (warm-time), or use "
                "--protocol rest with --given"
            )
    elif given < 1:
        raise SettingsError(f"given must be at least 1, but is {given}")
    history = np.maximum(test.given, given or 0)  # (S,)
    sessions, n = test.sessions, max(len(test.sessions.vocab), 1)
    longer = np.flatnonzero(sessions.lengths > history)
    _check_any(len(longer), "no held-out session is longer than its given part")
    session = sessions.session_of
    hidden = sessions.position_of >= history[session]
    pairs = np.unique(session[hidden] * n + sessions.items[hidden])  # each item once a session
    counts = np.bincount(pairs // n, minlength=len(sessions))[longer]
    return TestCases(sessions, longer, history[longer], np.concatenate([[0], np.cumsum(counts)]), pairs % n)


def cooccurring_items(test: HeldOut, vocab: Vocab, *, queries: int = 5, seed: int = 0) -> TestCases:
    """A single item of a held-out session, with the session's other items as the targets.

    From every held-out session with at least `queries` distinct items in `vocab` after its given part, `queries` items
    are drawn, one a case. Raises DataError if no session has so many.
    """
    held = test.sessions.filter_events(test.sessions.position_of >= np.repeat(test.given, test.sessions.lengths))
    sessions, n = held.reindex(vocab), max(len(vocab), 1)
    pairs = np.unique(sessions.session_of * n + sessions.items)
    session, item = pairs // n, pairs % n
    counts = np.bincount(session, minlength=len(sessions))  # (S,) distinct items
    enough = np.flatnonzero(counts >= max(queries, 2))
    _check_any(len(enough), f"no session has {max(queries, 2)} held-out items that training knows")
    # draws the items with the smallest random numbers of their session
    order = np.lexsort([np.random.default_rng(seed).random(len(pairs)), session])
    starts = np.cumsum(counts) - counts
    drawn = order[(starts[enough, None] + np.arange(queries)).ravel()]  # (Q,) positions in `pairs`
    sizes = counts[session[drawn]]
    beside = np.repeat(starts[session[drawn]] - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
    other = beside != np.repeat(drawn, sizes)
    alone = Sessions(np.arange(len(drawn) + 1), item[drawn], vocab, test.sessions.ids[session[drawn]])
    offsets = np.concatenate([[0], np.cumsum(sizes - 1)])
    one = np.ones(len(drawn), dtype=np.int64)
    return TestCases(alone, np.arange(len(drawn)), one, offsets, item[beside[other]])


def _check_any(count: int, problem: str) -> None:
    if not count:
        raise DataError(f"{problem}; hold out longer sessions")
