"""Split rules: they divide sessions into a training part and a held-out part. `SPLITS` is the registry.

A rule is a frozen dataclass of settings with one method, `split(sessions, seed=0) -> Split`. The vocabulary
of a training part contains only its own items. A validation part is cut from the training part by the same rule.
"""

from __future__ import annotations

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


@dataclass(frozen=True)
class Time(Settings):
    """Holds out whole sessions that end at or after a cut-off time; training ends before it.

    at     the cut-off, ISO 8601, in UTC unless it has a time zone
    days   or: days before the last event
    share  or: share of all events at or after the cut-off; .1 if none of the three is set
    """

    at: str | None = None
    days: float | None = None
    share: float | None = None
    name: ClassVar[str] = "time"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_one(self)

    def split(self, sessions: Sessions, *, seed: int = 0) -> Split:
        """See `Rule.split`."""
        times, cut = _cutoff(sessions, self)
        nonempty = np.flatnonzero(sessions.lengths)  # (m,)
        last = np.full(len(sessions), np.iinfo(np.int64).min)
        last[nonempty] = np.maximum.reduceat(times, sessions.offsets[:-1][nonempty])
        return _whole(sessions, last >= cut)


@dataclass(frozen=True)
class WarmTime(Settings):
    """Holds out events at or after a cut-off time, of users (sessions) and items that training knows.

    at, days, share  as in `Time`; .2 of the events if none of the three is set
    min_rating       held-out events of smaller weight are no targets

    A session is split in two: its events before the cut-off are trained on and given, the later ones are its targets
    (the protocol of the two-tower article, with `min_rating=4`).
    """

    at: str | None = None
    days: float | None = None
    share: float | None = None
    min_rating: float | None = None
    name: ClassVar[str] = "warm-time"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_one(self)

    def split(self, sessions: Sessions, *, seed: int = 0) -> Split:
        """See `Rule.split`."""
        times, cut = _cutoff(sessions, self, share=0.2)
        early = times < cut  # (E,)
        targets = ~early
        if self.min_rating is not None:
            if sessions.weights is None:
                raise DataError("min_rating needs ratings, but the events have none; remove it")
            targets &= sessions.weights >= self.min_rating
        train = sessions.filter_events(early)
        known = np.bincount(train.items, minlength=len(sessions.vocab)) > 0  # (n,)
        targets &= known[sessions.items]
        parts = sessions.filter_events(early | targets)
        held = np.flatnonzero((train.lengths > 0) & (parts.lengths > train.lengths))
        _check_parts(int((train.lengths > 0).sum()), len(held))
        kept = train.take(np.flatnonzero(train.lengths)).drop_unused_items()
        return Split(kept, HeldOut(parts.take(held).drop_unused_items(), train.lengths[held]))


@dataclass(frozen=True)
class LastItem(Settings):
    """Holds out the last item of every session of two or more; training has the items before it."""

    name: ClassVar[str] = "last-item"

    def split(self, sessions: Sessions, *, seed: int = 0) -> Split:
        """See `Rule.split`."""
        long = sessions.lengths >= 2  # (S,)
        if not long.any():
            raise DataError("no session has two items, so no item can be held out; prepare longer sessions")
        last = np.zeros(len(sessions.items), dtype=bool)
        last[sessions.offsets[1:][long] - 1] = True
        held = sessions.take(np.flatnonzero(long)).drop_unused_items()
        return Split(sessions.filter_events(~last).drop_unused_items(), HeldOut(held, held.lengths - 1))


@dataclass(frozen=True)
class LastSession(Settings):
    """Holds out the last session of every user with two or more."""

    name: ClassVar[str] = "last-session"

    def split(self, sessions: Sessions, *, seed: int = 0) -> Split:
        """See `Rule.split`."""
        nth, count = _nth_of_user(sessions)
        return _whole(sessions, (nth == count - 1) & (count > 1))


@dataclass(frozen=True)
class _ShareRule(Settings):
    """A rule with a share as its setting."""

    share: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(self.share)


@dataclass(frozen=True)
class UserShare(_ShareRule):
    """Trains on the first ⌈share · n⌉ of each user's n sessions and holds out the others (as in the SSCF article)."""

    share: float = 0.8
    name: ClassVar[str] = "user-share"

    def split(self, sessions: Sessions, *, seed: int = 0) -> Split:
        """See `Rule.split`."""
        nth, count = _nth_of_user(sessions)
        return _whole(sessions, nth >= np.ceil(np.round(self.share * count, 9)))


@dataclass(frozen=True)
class Random(_ShareRule):
    """Holds out a random share of the sessions: ⌊share · S⌋ of them, at least one."""

    name: ClassVar[str] = "random"

    def split(self, sessions: Sessions, *, seed: int = 0) -> Split:
        """See `Rule.split`."""
        held = np.zeros(len(sessions), dtype=bool)
        count = max(1, int(round(self.share * len(sessions), 9)))
        held[np.random.default_rng(seed).permutation(len(sessions))[:count]] = True
        return _whole(sessions, held)


@dataclass(frozen=True)
class Tail(_ShareRule):
    """Holds out the last share of the sessions in their order: for sessions without times that are in order of time."""

    name: ClassVar[str] = "tail"

    def split(self, sessions: Sessions, *, seed: int = 0) -> Split:
        """See `Rule.split`."""
        count = max(1, int(round(self.share * len(sessions), 9)))
        return _whole(sessions, np.arange(len(sessions)) >= len(sessions) - count)


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


def _check_one(rule: Time | WarmTime) -> None:
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


def _cutoff(sessions: Sessions, rule: Time | WarmTime, *, share: float = 0.1) -> tuple[np.ndarray, int]:
    """Times (E,) and the cut-off of the rule, in ms."""
    if sessions.times is None:
        raise DataError(
            "a split in time needs times, but the sessions have none; use tail (for sessions in order of time), "
            "random or last-item"
        )
    times = sessions.times
    if not len(times):
        raise DataError("there are no events to split; prepare the data again")
    if rule.at is not None:
        return times, _milliseconds(rule.at)
    if rule.days is not None:
        return times, int(times.max() - rule.days * DAY)
    first = min(int((1 - (rule.share or share)) * len(times) + 1e-9), len(times) - 1)
    return times, int(np.partition(times, first)[first])


def _nth_of_user(sessions: Sessions) -> tuple[np.ndarray, np.ndarray]:
    """The position of every session among its user's, from 0, in order of time if there are times; and the number of
    the user's sessions: both (S,)."""
    if sessions.users is None:
        raise DataError("the rule needs users, but the sessions have none; use another rule, or prepare a user column")
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


def _whole(sessions: Sessions, held: np.ndarray) -> Split:
    """Hold out the sessions of a mask (S,)."""
    _check_parts(int((~held).sum()), int(held.sum()))
    train = sessions.take(np.flatnonzero(~held)).drop_unused_items()
    test = sessions.take(np.flatnonzero(held)).drop_unused_items()
    return Split(train, HeldOut(test, np.zeros(len(test), dtype=np.int64)))


def _check_parts(train: int, test: int) -> None:
    for count, what in ((train, "training"), (test, "held-out")):
        if not count:
            raise DataError(f"the split leaves no session in the {what} part; choose another rule or setting")


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
