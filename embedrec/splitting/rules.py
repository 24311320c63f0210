"""Splits: what is trained on, and what is held out. `SPLITS` names every rule.

A rule is a frozen dataclass of settings with one method, `split(sessions, seed=0) -> Split`. Vocabularies of training
parts are made from the training part only. A validation part is cut from the training part by the same rule.
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
    """A training part, in a vocabulary of its own, and what is held out."""

    train: Sessions
    test: HeldOut


class Rule(Protocol):
    """How sessions are split."""

    name: ClassVar[str]

    def split(self, sessions: Sessions, *, seed: int = 0) -> Split:
        """Raises DataError when sessions lack what the rule needs, or a part would be empty."""
        ...


@dataclass(frozen=True)
class Time(Settings):
    """Sessions that end at or after a moment are held out, whole; training ends before it.

    at     the moment, ISO 8601, UTC where no zone is given
    days   or: so many days before the last event
    share  or: such that this share of all events is at or after it; .1 where nothing is given
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
        times, cut = _moment(sessions, self)
        some = np.flatnonzero(sessions.lengths)  # sessions with events, (m,)
        last = np.full(len(sessions), np.iinfo(np.int64).min)
        last[some] = np.maximum.reduceat(times, sessions.offsets[:-1][some])
        return _whole(sessions, last >= cut)


@dataclass(frozen=True)
class WarmTime(Settings):
    """Events at or after a moment are held out, of users (sessions) and items that training knows.

    at, days, share  as in `Time`; .2 of the events where nothing is given
    min_rating       held-out events of smaller weight are not asked for

    A session is split in two: its events before the moment are trained on and given, those after are asked for
    together (the article's protocol of the two-tower network, with `min_rating=4`).
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
        times, cut = _moment(sessions, self, share=0.2)
        early = times < cut  # (E,)
        asked = ~early
        if self.min_rating is not None:
            if sessions.weights is None:
                raise DataError("the events have no ratings, so min_rating cannot choose among them; leave it out")
            asked &= sessions.weights >= self.min_rating
        train = sessions.filter_events(early)
        known = np.bincount(train.items, minlength=len(sessions.vocab)) > 0  # (n,)
        asked &= known[sessions.items]
        parts = sessions.filter_events(early | asked)
        held = np.flatnonzero((train.lengths > 0) & (parts.lengths > train.lengths))
        _check_parts(int((train.lengths > 0).sum()), len(held))
        kept = train.take(np.flatnonzero(train.lengths)).drop_unused_items()
        return Split(kept, HeldOut(parts.take(held).drop_unused_items(), train.lengths[held]))


@dataclass(frozen=True)
class LastItem(Settings):
    """The last item of every session of two or more is held out; training sees what comes before it."""

    name: ClassVar[str] = "last-item"

    def split(self, sessions: Sessions, *, seed: int = 0) -> Split:
        """See `Rule.split`."""
        asked = sessions.lengths >= 2  # (S,)
        if not asked.any():
            raise DataError("no session has two items, so none can be held out; prepare longer sessions")
        last = np.zeros(len(sessions.items), dtype=bool)
        last[sessions.offsets[1:][asked] - 1] = True
        held = sessions.take(np.flatnonzero(asked)).drop_unused_items()
        return Split(sessions.filter_events(~last).drop_unused_items(), HeldOut(held, held.lengths - 1))


@dataclass(frozen=True)
class LastSession(Settings):
    """The last session of every user with two or more is held out, whole."""

    name: ClassVar[str] = "last-session"

    def split(self, sessions: Sessions, *, seed: int = 0) -> Split:
        """See `Rule.split`."""
        nth, count = _nth_of_user(sessions)
        return _whole(sessions, (nth == count - 1) & (count > 1))


@dataclass(frozen=True)
class UserShare(Settings):
    """Per user, the first ⌈share · n⌉ of n sessions are trained on, the rest is held out (as in the SSCF article)."""

    share: float = 0.8
    name: ClassVar[str] = "user-share"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(self.share)

    def split(self, sessions: Sessions, *, seed: int = 0) -> Split:
        """See `Rule.split`."""
        nth, count = _nth_of_user(sessions)
        return _whole(sessions, nth >= np.ceil(np.round(self.share * count, 9)))


@dataclass(frozen=True)
class Random(Settings):
    """A random share of sessions is held out, whole: ⌊share · S⌋ of them, at least one."""

    share: float = 0.1
    name: ClassVar[str] = "random"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(self.share)

    def split(self, sessions: Sessions, *, seed: int = 0) -> Split:
        """See `Rule.split`."""
        held = np.zeros(len(sessions), dtype=bool)
        count = max(1, int(round(self.share * len(sessions), 9)))
        held[np.random.default_rng(seed).permutation(len(sessions))[:count]] = True
        return _whole(sessions, held)


@dataclass(frozen=True)
class Tail(Settings):
    """The last share of sessions is held out, whole, in the order they stand in: for sessions in order of time
    that have no times."""

    share: float = 0.1
    name: ClassVar[str] = "tail"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(self.share)

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


def usual(sessions: Sessions) -> Rule:
    """The rule that fits what the sessions hold: in time where there are times and a session is not a whole user,
    else the last item of every session."""
    alone = sessions.users is None or len(set(sessions.users.tolist())) < len(sessions)
    return Time() if sessions.times is not None and alone else LastItem()


def _check_one(rule: Time | WarmTime) -> None:
    given = [name for name in ("at", "days", "share") if getattr(rule, name) is not None]
    if len(given) > 1:
        raise SettingsError(f"a split in time takes one of at, days and share, but was given {' and '.join(given)}")
    if rule.share is not None:
        _check_share(rule.share)
    if rule.days is not None and not 0 < rule.days < np.inf:
        raise SettingsError(f"days must be a positive number, but is {rule.days}")
    if rule.at is not None:
        _parsed(rule.at)


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise SettingsError(f"share must lie between 0 and 1, but is {share}")


def _parsed(at: str) -> int:
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise SettingsError(f"at must be a date as 2024-05-31 or 2024-05-31T23:59:00, but is {at!r}") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _moment(sessions: Sessions, rule: Time | WarmTime, *, share: float = 0.1) -> tuple[np.ndarray, int]:
    """Times (E,) and the moment that the rule names, in ms."""
    if sessions.times is None:
        raise DataError(
            "the sessions have no times, so they cannot be split in time; use tail (they stand in order of time), "
            "random or last-item"
        )
    times = sessions.times
    if not len(times):
        raise DataError("there are no events to split; prepare the data again")
    if rule.at is not None:
        return times, _parsed(rule.at)
    if rule.days is not None:
        return times, int(times.max() - rule.days * DAY)
    first = min(int((1 - (rule.share or share)) * len(times) + 1e-9), len(times) - 1)
    return times, int(np.partition(times, first)[first])


def _nth_of_user(sessions: Sessions) -> tuple[np.ndarray, np.ndarray]:
    """For every session, which of its user's it is (S,), from 0, in order of time where it is known; and how many
    sessions that user has (S,)."""
    if sessions.users is None:
        raise DataError("the sessions have no users; prepare them with a user column, or split by another rule")
    _, user = np.unique(sessions.users.astype(object).astype(str), return_inverse=True)  # (S,)
    keys: list[Any] = [np.arange(len(sessions))]
    if sessions.times is not None:
        start = np.zeros(len(sessions), dtype=np.int64)
        some = sessions.lengths > 0
        start[some] = sessions.times[sessions.offsets[:-1][some]]
        keys.append(start)
    order = np.lexsort([*keys, user])
    count = np.bincount(user)  # by user
    first = np.cumsum(count) - count
    nth = np.empty(len(sessions), dtype=np.int64)
    nth[order] = np.arange(len(sessions)) - np.repeat(first, count)
    return nth, count[user]


def _whole(sessions: Sessions, held: np.ndarray) -> Split:
    """Hold out the sessions of a mask (S,), whole."""
    _check_parts(int((~held).sum()), int(held.sum()))
    train = sessions.take(np.flatnonzero(~held)).drop_unused_items()
    test = sessions.take(np.flatnonzero(held)).drop_unused_items()
    return Split(train, HeldOut(test, np.zeros(len(test), dtype=np.int64)))


def _check_parts(train: int, test: int) -> None:
    for count, what in ((train, "training"), (test, "held-out")):
        if not count:
            raise DataError(f"the split leaves no session in the {what} part; choose another rule or setting")


def rule_of(text: str) -> Rule:
    """A rule from "time" or "time:days=7". Raises SettingsError for an unknown rule or setting."""
    name, _, settings = text.partition(":")
    if name not in SPLITS:
        hint = did_you_mean(name, SPLITS) or f"; there are {', '.join(SPLITS)}"
        raise SettingsError(f"no split is called {name!r}{hint}")
    parts = [part for part in settings.split(",") if part]
    odd = next((part for part in parts if "=" not in part), None)
    if odd is not None:
        raise SettingsError(f"settings of a split are key=value, as in time:days=7, but {odd!r} has no '='")
    pairs = parse_pairs(parts)
    return build(SPLITS[name], pairs, given=f"--split {text}")  # type: ignore[arg-type]


def in_words(rule: Rule) -> str:
    """A rule as `rule_of` reads it: "time:days=7"."""
    given = ",".join(f"{k}={v}" for k, v in settings_of(rule).items() if v is not None)
    return rule.name + (f":{given}" if given else "")
