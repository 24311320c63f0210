"""Split rules: they divide sessions into a training part and a held-out part. `SPLITS` is the registry.

A rule is a frozen dataclass of settings, with `split(sessions, seed=0) -> Split`. It first learns some facts of all
sessions, and then selects from them; on Spark, slice by slice. The vocabulary of a training part contains only its own
items. A validation part is cut from the training part by the same rule.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from embedrec.config import Settings, build, parse_pairs, settings_of
from embedrec.data.events import DAY
from embedrec.data.sessions import Sessions
from embedrec.errors import DataError, SettingsError, did_you_mean
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.selection import ArrayMoments, Facts, Moments, Selection


class Split(NamedTuple):
    """A training part in its own vocabulary, and the held-out part."""

    train: Sessions
    test: HeldOut


class Rule(Protocol):
    """A rule that splits sessions."""

    name: ClassVar[str]

    def split(self, sessions: Sessions, *, seed: int = 0) -> Split:
        """Raises DataError if the sessions lack a column that the rule needs, or if a part would be empty."""
        ...

    def facts(self, sessions: Sessions, *, seed: int = 0) -> Facts:
        """What `select` needs to know of all sessions. Raises DataError if they lack a column that the rule needs."""
        ...

    def select(self, sessions: Sessions, facts: Facts) -> Selection:
        """The parts of some of the sessions; `facts.held` is that of these sessions."""
        ...

    def check_parts(self, train: int, test: int) -> None:
        """Raises DataError if a part of so many sessions is empty."""
        ...


@dataclass(frozen=True)
class _Rule(Settings):
    """A rule that splits by its selection from all sessions."""

    def split(self, sessions: Sessions, *, seed: int = 0) -> Split:
        """See `Rule.split`."""
        rule: Any = self
        selection = rule.select(sessions, rule.facts(sessions, seed=seed))
        rule.check_parts(int(selection.train.sum()), int(selection.test.sum()))
        test = selection.test_part(sessions)
        return Split(
            selection.train_part(sessions).drop_unused_items(), HeldOut(test.sessions.drop_unused_items(), test.given)
        )

    def check_parts(self, train: int, test: int) -> None:
        """See `Rule.check_parts`."""
        for count, what in ((train, "training"), (test, "held-out")):
            if not count:
                raise DataError(f"the split leaves no session in the {what} part; choose another rule or setting")


@dataclass(frozen=True)
class _InTime(_Rule):
    """A rule with a cut-off time; `usual` is the share if none is set."""

    at: str | None = None
    days: float | None = None
    share: float | None = None
    usual: ClassVar[float]

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_one(self)

    def cut(self, times: Moments | None) -> int:
        """The cut-off in ms. Raises DataError without times and without events."""
        if times is None:
            raise DataError(
                "a split in time needs times, but the sessions have none; use tail (for sessions in order of time), "
                "random or last-item"
            )
        if not len(times):
            raise DataError("there are no events to split; prepare the data again")
        if self.at is not None:
            return _milliseconds(self.at)
        if self.days is not None:
            return int(times.last() - self.days * DAY)
        return times.nth(min(int((1 - (self.share or self.usual)) * len(times) + 1e-9), len(times) - 1))


@dataclass(frozen=True)
class Time(_InTime):
    """Holds out whole sessions that end at or after a cut-off time; training ends before it.

    at     the cut-off, ISO 8601, in UTC unless it has a time zone
    days   or: days before the last event
    share  or: share of all events at or after the cut-off; .1 if none of the three is set
    """

    name: ClassVar[str] = "time"
    usual: ClassVar[float] = 0.1

    def facts(self, sessions: Sessions, *, seed: int = 0) -> Facts:
        """See `Rule.facts`."""
        return Facts(self.cut(_moments(sessions)))

    def select(self, sessions: Sessions, facts: Facts) -> Selection:
        """See `Rule.select`."""
        nonempty = np.flatnonzero(sessions.lengths)  # (m,)
        last = np.full(len(sessions), np.iinfo(np.int64).min)
        if len(nonempty):
            last[nonempty] = np.maximum.reduceat(_times(sessions), sessions.offsets[:-1][nonempty])
        return Selection.whole(last >= facts.cut)


@dataclass(frozen=True)
class WarmTime(_InTime):
    """Holds out events at or after a cut-off time, of users (sessions) and items that training knows.

    at, days, share  as in `Time`; .2 of the events if none of the three is set
    min_rating       held-out events of smaller weight are no targets

    A session is split in two: its events before the cut-off are trained on and given, the later ones are its targets
    (the protocol of the two-tower article, with `min_rating=4`).
    """

    min_rating: float | None = None
    name: ClassVar[str] = "warm-time"
    usual: ClassVar[float] = 0.2

    def facts(self, sessions: Sessions, *, seed: int = 0) -> Facts:
        """See `Rule.facts`."""
        cut = self.cut(_moments(sessions))
        self.check_weights(sessions.weights is not None)
        early = sessions.items[_times(sessions) < cut]
        return Facts(cut, np.bincount(early, minlength=len(sessions.vocab)) > 0)

    def check_weights(self, present: bool) -> None:
        """Raises DataError if weights are needed and not present."""
        if self.min_rating is not None and not present:
            raise DataError("min_rating needs ratings, but the events have none; remove it")

    def select(self, sessions: Sessions, facts: Facts) -> Selection:
        """See `Rule.select`."""
        early = _times(sessions) < facts.cut  # (E,)
        targets = ~early
        if self.min_rating is not None and sessions.weights is not None:
            targets &= sessions.weights >= self.min_rating
        if facts.known is not None:
            targets &= facts.known[sessions.items]
        session, count = sessions.session_of, len(sessions)
        given = np.bincount(session[early], minlength=count)
        train = given > 0
        held = train & (np.bincount(session[targets], minlength=count) > 0)
        return Selection(train, held, given, early, early | targets)


@dataclass(frozen=True)
class LastItem(_Rule):
    """Holds out the last item of every session of two or more; training has the items before it."""

    name: ClassVar[str] = "last-item"

    def facts(self, sessions: Sessions, *, seed: int = 0) -> Facts:
        """See `Rule.facts`."""
        return Facts()

    def select(self, sessions: Sessions, facts: Facts) -> Selection:
        """See `Rule.select`."""
        long = sessions.lengths >= 2  # (S,)
        first = np.ones(len(sessions.items), dtype=bool)
        first[sessions.offsets[1:][long] - 1] = False
        return Selection(np.ones(len(sessions), dtype=bool), long, np.maximum(sessions.lengths - 1, 0), first)

    def check_parts(self, train: int, test: int) -> None:
        """See `Rule.check_parts`."""
        if not test:
            raise DataError("no session has two items, so no item can be held out; prepare longer sessions")


@dataclass(frozen=True)
class ByUser(_Rule, ABC):
    """A rule that holds out whole sessions by their place among those of their user."""

    @abstractmethod
    def holds(self, nth: np.ndarray, count: np.ndarray) -> np.ndarray:
        """Which sessions (S,) are held out.

        nth    (S,) int64 place among the sessions of the user, from 0
        count  (S,) int64 sessions of the user
        """
        ...

    def facts(self, sessions: Sessions, *, seed: int = 0) -> Facts:
        """See `Rule.facts`."""
        self.check_users(sessions.users is not None)
        return Facts(held=self.holds(*_nth_of_user(sessions)))

    def check_users(self, present: bool) -> None:
        """Raises DataError if there are no users."""
        if not present:
            raise DataError(
                "the rule needs users, but the sessions have none; use another rule, or prepare a user column"
            )

    def select(self, sessions: Sessions, facts: Facts) -> Selection:
        """See `Rule.select`."""
        return Selection.whole(_held(facts))


@dataclass(frozen=True)
class LastSession(ByUser):
    """Holds out the last session of every user with two or more."""

    name: ClassVar[str] = "last-session"

    def holds(self, nth: np.ndarray, count: np.ndarray) -> np.ndarray:
        """See `ByUser.holds`."""
        return np.asarray((nth == count - 1) & (count > 1))


@dataclass(frozen=True)
class UserShare(ByUser):
    """Trains on the first ⌈share · n⌉ of each user's n sessions and holds out the others (as in the SSCF article)."""

    share: float = 0.8
    name: ClassVar[str] = "user-share"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(self.share)

    def holds(self, nth: np.ndarray, count: np.ndarray) -> np.ndarray:
        """See `ByUser.holds`."""
        return np.asarray(nth >= np.ceil(np.round(self.share * count, 9)))


@dataclass(frozen=True)
class ByNumber(_Rule, ABC):
    """A rule that holds out a share of the sessions: ⌊share · S⌋ of them, at least one."""

    share: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(self.share)

    def holds(self, sessions: int, seed: int) -> np.ndarray:
        """Which of so many sessions (S,) are held out."""
        held = np.zeros(sessions, dtype=bool)
        held[self.chosen(sessions, max(1, int(round(self.share * sessions, 9))), seed)] = True
        return held

    @abstractmethod
    def chosen(self, sessions: int, count: int, seed: int) -> np.ndarray | slice:
        """The `count` sessions that are held out."""
        ...

    def facts(self, sessions: Sessions, *, seed: int = 0) -> Facts:
        """See `Rule.facts`."""
        return Facts(held=self.holds(len(sessions), seed))

    def select(self, sessions: Sessions, facts: Facts) -> Selection:
        """See `Rule.select`."""
        return Selection.whole(_held(facts))


@dataclass(frozen=True)
class Random(ByNumber):
    """Holds out a random share of the sessions: ⌊share · S⌋ of them, at least one."""

    name: ClassVar[str] = "random"

    def chosen(self, sessions: int, count: int, seed: int) -> np.ndarray:
        """See `ByNumber.chosen`."""
        return np.random.default_rng(seed).permutation(sessions)[:count]


@dataclass(frozen=True)
class Tail(ByNumber):
    """Holds out the last share of the sessions in their order: for sessions without times that are in order of time."""

    name: ClassVar[str] = "tail"

    def chosen(self, sessions: int, count: int, seed: int) -> slice:
        """See `ByNumber.chosen`."""
        return slice(max(sessions - count, 0), sessions)


SPLITS: dict[str, Callable[..., Rule]] = {
    "time": Time,
    "warm-time": WarmTime,
    "last-item": LastItem,
    "last-session": LastSession,
    "user-share": UserShare,
    "random": Random,
    "tail": Tail,
}


def default_rule(sessions: Sessions) -> Rule:
    """The default rule: by time if there are times and users have several sessions, else the last item."""
    alone = sessions.users is None or len(set(sessions.users.tolist())) < len(sessions)
    return Time() if sessions.times is not None and alone else LastItem()


def _check_one(rule: _InTime) -> None:
    given = [name for name in ("at", "days", "share") if getattr(rule, name) is not None]
    if len(given) > 1:
        raise SettingsError(f"a split in time takes one of at, days and share, but has {' and '.join(given)}; keep one")
    if rule.share is not None:
        _check_share(rule.share)
    if rule.days is not None and not 0 < rule.days < np.inf:
        raise SettingsError(f"days must be a positive number, but is {rule.days}")
    if rule.at is not None:
        _milliseconds(rule.at)


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise SettingsError(f"share must be between 0 and 1, but is {share}")


def _milliseconds(at: str) -> int:
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise SettingsError(f"at must be a date such as 2024-05-31 or 2024-05-31T23:59:00, but is {at!r}") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _moments(sessions: Sessions) -> Moments | None:
    return None if sessions.times is None else ArrayMoments(sessions.times)


def _times(sessions: Sessions) -> np.ndarray:
    """The times (E,) of sessions that have some, see `_InTime.cut`."""
    return np.zeros(0, dtype=np.int64) if sessions.times is None else sessions.times


def _held(facts: Facts) -> np.ndarray:
    """The mask of rules that choose among all sessions."""
    return np.zeros(0, dtype=bool) if facts.held is None else facts.held


def _nth_of_user(sessions: Sessions) -> tuple[np.ndarray, np.ndarray]:
    """The position of every session among its user's, from 0, in order of time if there are times; and the number of
    the user's sessions: both (S,)."""
    if sessions.users is None:  # checked before
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    _, user = np.unique(sessions.users.astype(object).astype(str), return_inverse=True)  # (S,)
    keys: list[Any] = [np.arange(len(sessions))]
    if sessions.times is not None:
        start = np.zeros(len(sessions), dtype=np.int64)
        nonempty = sessions.lengths > 0
        start[nonempty] = sessions.times[sessions.offsets[:-1][nonempty]]
        keys.append(start)
    order = np.lexsort([*keys, user])
    count = np.bincount(user)  # by user
    first = np.cumsum(count) - count
    nth = np.empty(len(sessions), dtype=np.int64)
    nth[order] = np.arange(len(sessions)) - np.repeat(first, count)
    return nth, count[user]


def rule_class(name: str) -> Any:
    """The class of a rule. Raises SettingsError, with near misses, for an unknown name."""
    if name not in SPLITS:
        hint = did_you_mean(name, SPLITS) or f"; valid rules are {', '.join(SPLITS)}"
        raise SettingsError(f"no split rule is called {name!r}{hint}")
    return SPLITS[name]


def rule_of(text: str) -> Rule:
    """A rule from "time" or "time:days=7". Raises SettingsError for an unknown rule or setting."""
    name, _, settings = text.partition(":")
    cls = rule_class(name)
    parts = [part for part in settings.split(",") if part]
    odd = next((part for part in parts if "=" not in part), None)
    if odd is not None:
        raise SettingsError(f"settings of a split are key=value, such as time:days=7, but {odd!r} has no '='")
    pairs = parse_pairs(parts)
    rule: Rule = build(cls, pairs, source=f"--split {text}")
    return rule


def in_words(rule: Rule) -> str:
    """The text of a rule, as `rule_of` parses it: "time:days=7"."""
    given = ",".join(f"{k}={v}" for k, v in settings_of(rule).items() if v is not None)
    return rule.name + (f":{given}" if given else "")
