"""The leak check: whether the training part contains held-out data."""

from __future__ import annotations

import numpy as np

from embedrec.data.filter_state import first_mentions
from embedrec.data.sessions import Sessions
from embedrec.errors import DataError
from embedrec.splitting.holdout import HeldOut

LONG = 3  # items; shorter sessions are equal by chance
_MANY, _MOST = 100, 0.9  # of at least 100 sessions, 90 % are not equal by chance
_BY_CHANCE = 0.01  # share of the sessions with the same id that may be equal by chance


def check_leaks(train: Sessions, test: HeldOut, *, in_time: bool = False) -> list[str]:
    """The results of the checks, a sentence each. Raises DataError for a leak.

    in_time  whether the split is by time, so that training ends before the targets

    A leak is: an item of the training vocabulary without a training event; a held-out session of which training has
    more than the given part; with `in_time`, a training event that is not before all targets.
    """
    return [
        _vocabulary(train),
        _sessions(train, test),
        *_copies(train, test),
        *_times(train, test, in_time=in_time),
    ]


def _vocabulary(train: Sessions) -> str:
    absent = np.flatnonzero(np.bincount(train.items, minlength=len(train.vocab)) == 0)
    if len(absent):
        raise DataError(
            f"leak: {len(absent):,} items of the training vocabulary, such as {train.vocab.id(int(absent[0]))!r}, are "
            "in no training session; build the vocabulary from the training part only"
        )
    return known_items(len(train.vocab))


def known_items(items: int) -> str:
    """What the check says of a training vocabulary whose items all occur."""
    return f"all {items:,} items of the training vocabulary are in training sessions"


def _sessions(train: Sessions, test: HeldOut) -> str:
    rows = np.array(_find_rows(train.ids, test.sessions.ids), dtype=np.int64)  # (S,) −1 where training has no such id
    shared = int((rows >= 0).sum())
    if not shared:
        return shared_ids(0, len(test))
    leaked = np.flatnonzero(_find_leaked(train, rows, test))
    # two files may use the same ids for other sessions, of which a few short ones are equal by chance
    if len(leaked) > _BY_CHANCE * shared:
        raise DataError(
            f"leak: training has session {test.sessions.ids[leaked[0] : leaked[0] + 1].tolist()[0]!r} beyond the "
            f"{test.given[leaked[0]]} given events; split by session, or remove it from training"
        )
    if len(leaked):
        return f"{len(leaked):,} of {shared:,} held-out sessions have the id and items of a training session"
    return shared_ids(shared, len(test))


def shared_ids(shared: int, sessions: int) -> str:
    """What the check says of so many held-out sessions, of which `shared` have the id of a training session that has
    nothing beyond their given part."""
    if not shared:
        return f"none of the {sessions:,} held-out sessions has the id of a training session"
    return (
        f"training has the ids of {shared:,} of the {sessions:,} held-out sessions too, but nothing beyond the "
        "given part"
    )


def _find_leaked(train: Sessions, rows: np.ndarray, test: HeldOut) -> np.ndarray:
    """Which held-out sessions (S,) equal, event by event, training session `rows` (S,) beyond their given part.

    Filters may have changed the training part only. So unknown items are ignored, and sessions are compared as they
    are, with each item once, and with each item once from the end, for those that were cut to their last events.
    """
    n, sessions, given = len(train.vocab), test.sessions, test.given
    items = _codes(train, sessions)[sessions.items]  # (E,)
    session, place, own = sessions.session_of, sessions.position_of, train.session_of
    known, every = items >= 0, np.ones(len(own), dtype=bool)
    once = first_mentions(session, np.maximum(items, 0), len(test), n, known)
    train_once = first_mentions(own, train.items, len(train), n, every)
    timed = train.times is not None and sessions.times is not None
    leaked = np.zeros(len(test), dtype=bool)
    for own_mask, train_mask, at_end in ((known, every, False), (once, train_once, False), (once, train_once, True)):
        one, other = np.flatnonzero(own_mask), np.flatnonzero(train_mask)  # positions of the compared events
        size, given_size = (
            np.bincount(session[part], minlength=len(test)) for part in (one, one[place[one] < given[session[one]]])
        )
        start, train_size = np.cumsum(size) - size, np.bincount(own[other], minlength=len(train))
        train_start = (np.cumsum(train_size) - train_size)[rows]
        both = np.where(rows >= 0, np.minimum(size, train_size[rows]), 0)  # (S,) compared events
        compared = np.flatnonzero((both > (0 if at_end else given_size)) & (size > given_size))
        if at_end:
            start, train_start = start + size - both, train_start + train_size[rows] - both
        pair = np.repeat(np.arange(len(compared)), both[compared])
        step = np.arange(len(pair)) - np.repeat(np.cumsum(both[compared]) - both[compared], both[compared])
        a, b = one[start[compared][pair] + step], other[train_start[compared][pair] + step]
        differs = items[a] != train.items[b]
        if timed:
            differs |= sessions.times[a] != train.times[b]  # type: ignore[index]
        leaked[compared[np.bincount(pair, differs, minlength=len(compared)) == 0]] = True
    return leaked


def _copies(train: Sessions, test: HeldOut) -> list[str]:
    """The number of held-out sessions that equal a training session item by item, under another id."""
    code = _codes(train, test.sessions)
    long = np.flatnonzero((test.sessions.lengths >= LONG) & (test.given == 0))
    if not len(long):
        return []
    lengths = set(test.sessions.lengths[long].tolist())
    known = {train[s].tobytes() for s in np.flatnonzero(np.isin(train.lengths, list(lengths))).tolist()}
    copies = sum(code[test.sessions[s]].tobytes() in known for s in long.tolist())
    return check_copies(copies, len(long))


def check_copies(copies: int, long: int) -> list[str]:
    """What the check says of `long` held-out sessions of LONG items or more without a given part, of which so many
    equal a training session item by item. Raises DataError if these are too many."""
    if not long:
        return []
    if long >= _MANY and copies > _MOST * long:
        raise DataError(
            f"leak: {copies:,} of {long:,} held-out sessions of {LONG} items or more equal a training session "
            "item by item, under other ids; remove the held-out part from training"
        )
    return [f"{copies:,} of {long:,} held-out sessions of {LONG} items or more equal a training session item by item"]


def _times(train: Sessions, test: HeldOut, *, in_time: bool) -> list[str]:
    times = test.sessions.times
    if train.times is None or times is None or not len(train.times):
        return [NO_TIMES]
    lengths = test.sessions.lengths
    targets = times[test.sessions.position_of >= np.repeat(np.maximum(test.given, 1), lengths)]
    if not len(targets):
        return []
    given = bool(test.given.any())
    if not in_time:
        return [other_order(float((train.times >= targets.min()).mean()))]
    # a whole session may begin before the cut-off, but ends after it
    bound = targets if given else times[test.sessions.offsets[1:][lengths > 0] - 1]
    return [check_order(int(train.times.max()), int(bound.min()), given=given)]


NO_TIMES = "there are no times, so the order of training and held-out events was not checked"


def other_order(later: float) -> str:
    """What the check says of a split that is not by time; `later` is the share of training events that are not before
    the first target."""
    if not later:
        return "all training events are before the first target"
    return f"{later:.1%} of training events are not before the first target: the split is not by time"


def check_order(last: int, bound: int, *, given: bool) -> str:
    """What the check says of a split in time, in ms: the last training event, and the first of the events that must
    come later. Raises DataError unless they do.

    given  whether a part of the held-out sessions is given: then these are all held-out events, else the last ones
    """
    if last >= bound:
        raise DataError("leak: a training event is not before all held-out events, though the split is by time")
    return f"all training events are before {'all held-out events' if given else 'the end of every held-out session'}"


def _codes(train: Sessions, other: Sessions) -> np.ndarray:
    """Training rows (n,) int32 of another vocabulary's items; −1 for unknown ones."""
    return train.vocab.rows_of(other.vocab.ids).astype(np.int32)


def _find_rows(ids: np.ndarray, wanted: np.ndarray) -> list[int]:
    """Rows of the wanted ids, −1 for unknown ones; compared as texts if only one side has integer ids."""
    known, queries = ids.tolist(), wanted.tolist()
    if ids.dtype != wanted.dtype:
        known, queries = [*map(str, known)], [*map(str, queries)]
    row_of = dict(zip(known, range(len(known)), strict=True))
    return [row_of.get(i, -1) for i in queries]
