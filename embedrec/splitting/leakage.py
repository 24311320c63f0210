"""The leak check: does the training part hold what it is asked about?"""

from __future__ import annotations

import numpy as np

from embedrec.data.filter_state import first_mentions
from embedrec.data.sessions import Sessions
from embedrec.errors import DataError
from embedrec.splitting.holdout import HeldOut

_LONG = 3  # items; shorter sessions are alike by chance
_MANY, _MOST = 100, 0.9  # of so many sessions, so large a share is not alike by chance
_BY_CHANCE = 0.01  # of the sessions with one id, so many may be alike without being the same


def check_leaks(train: Sessions, test: HeldOut, *, in_time: bool = False) -> list[str]:
    """What was checked, a sentence each. Raises DataError for a leak.

    in_time  whether the split promises that training ends before what is asked for

    A leak is: an item in the training vocabulary that no training event mentions; a held-out session of which training
    knows more than what is given; with `in_time`, a training event that is not before all that is asked for.
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
            "in no training session; make the vocabulary from the training part only"
        )
    return f"all {len(train.vocab):,} items of the training vocabulary are in training sessions"


def _sessions(train: Sessions, test: HeldOut) -> str:
    rows = np.array(_rows_of(train.ids, test.sessions.ids), dtype=np.int64)  # (S,) −1 where training has no such id
    shared = int((rows >= 0).sum())
    if not shared:
        return f"none of the {len(test):,} held-out sessions has the id of a training session"
    leaked = np.flatnonzero(_leaked(train, rows, test))
    # two files may number other sessions alike; among many, a few short ones then agree by chance
    if len(leaked) > _BY_CHANCE * shared:
        raise DataError(
            f"leak: training holds session {test.sessions.ids[leaked[0] : leaked[0] + 1].tolist()[0]!r} beyond the "
            f"{test.given[leaked[0]]} events that are given; split by session, or leave it out of training"
        )
    if len(leaked):
        return f"{len(leaked):,} of {shared:,} held-out sessions have the id and items of a training session"
    return (
        f"training has the ids of {shared:,} of the {len(test):,} held-out sessions too, but nothing beyond what is "
        "given"
    )


def _leaked(train: Sessions, rows: np.ndarray, test: HeldOut) -> np.ndarray:
    """Which held-out sessions (S,) training session `rows` (S,) goes on with beyond what is given, event by event.

    Filters may have changed the training part alone: items it does not know do not count, and sessions are compared
    as they stand, with each item once, and so from the end, for those that were cut to their last events.
    """
    n, sessions, given = len(train.vocab), test.sessions, test.given
    items = _codes(train, sessions)[sessions.items]  # (E,)
    session, place, own = sessions.session_of, sessions.place_of, train.session_of
    known, every = items >= 0, np.ones(len(own), dtype=bool)
    once = first_mentions(session, np.maximum(items, 0), len(test), n, known)
    their_once = first_mentions(own, train.items, len(train), n, every)
    timed = train.times is not None and sessions.times is not None
    leaked = np.zeros(len(test), dtype=bool)
    for here, there, at_end in ((known, every, False), (once, their_once, False), (once, their_once, True)):
        one, other = np.flatnonzero(here), np.flatnonzero(there)  # places of the events that are compared
        size, given_size = (
            np.bincount(session[part], minlength=len(test)) for part in (one, one[place[one] < given[session[one]]])
        )
        start, their_size = np.cumsum(size) - size, np.bincount(own[other], minlength=len(train))
        their_start = (np.cumsum(their_size) - their_size)[rows]
        both = np.where(rows >= 0, np.minimum(size, their_size[rows]), 0)  # (S,) events that are compared
        asked = np.flatnonzero((both > (0 if at_end else given_size)) & (size > given_size))
        if at_end:
            start, their_start = start + size - both, their_start + their_size[rows] - both
        pair = np.repeat(np.arange(len(asked)), both[asked])
        step = np.arange(len(pair)) - np.repeat(np.cumsum(both[asked]) - both[asked], both[asked])
        a, b = one[start[asked][pair] + step], other[their_start[asked][pair] + step]
        differs = items[a] != train.items[b]
        if timed:
            differs |= sessions.times[a] != train.times[b]  # type: ignore[index]
        leaked[asked[np.bincount(pair, differs, minlength=len(asked)) == 0]] = True
    return leaked


def _copies(train: Sessions, test: HeldOut) -> list[str]:
    """How many held-out sessions stand in training item by item, under another id."""
    code = _codes(train, test.sessions)
    asked = np.flatnonzero((test.sessions.lengths >= _LONG) & (test.given == 0))
    if not len(asked):
        return []
    wanted = set(test.sessions.lengths[asked].tolist())
    there = {train[s].tobytes() for s in np.flatnonzero(np.isin(train.lengths, list(wanted))).tolist()}
    copies = sum(code[test.sessions[s]].tobytes() in there for s in asked.tolist())
    if len(asked) >= _MANY and copies > _MOST * len(asked):
        raise DataError(
            f"leak: {copies:,} of {len(asked):,} held-out sessions of {_LONG} items or more equal a training session "
            "item by item, under other ids; leave the held-out part out of training"
        )
    return [
        f"{copies:,} of {len(asked):,} held-out sessions of {_LONG} items or more equal a training session item by item"
    ]


def _times(train: Sessions, test: HeldOut, *, in_time: bool) -> list[str]:
    times = test.sessions.times
    if train.times is None or times is None or not len(train.times):
        return ["there are no times, so the order of training and held-out events was not checked"]
    lengths = test.sessions.lengths
    asked = times[test.sessions.place_of >= np.repeat(np.maximum(test.given, 1), lengths)]
    if not len(asked):
        return []
    if not in_time:
        later = float((train.times >= asked.min()).mean())
        if not later:
            return ["all training events are before the first one asked for"]
        return [f"{later:.1%} of training events are not before the first one asked for: the split is none in time"]
    # a whole session may begin before the moment of the split, but ends after it
    bound = asked if test.given.any() else times[test.sessions.offsets[1:][lengths > 0] - 1]
    if train.times.max() >= bound.min():
        raise DataError("leak: a training event is not before all that is held out, though the split is one in time")
    what = "all that is held out" if test.given.any() else "the end of every held-out session"
    return [f"all training events are before {what}"]


def _codes(train: Sessions, other: Sessions) -> np.ndarray:
    """Training rows (n,) int32 of another vocabulary's items; −1 for unknown ones."""
    return train.vocab.rows_of(other.vocab.ids).astype(np.int32)


def _rows_of(ids: np.ndarray, wanted: np.ndarray) -> list[int]:
    """Rows of the wanted ids, −1 where there is none; compared as texts where only one side holds whole numbers."""
    there, asked = ids.tolist(), wanted.tolist()
    if ids.dtype != wanted.dtype:
        there, asked = [*map(str, there)], [*map(str, asked)]
    row_of = dict(zip(there, range(len(there)), strict=True))
    return [row_of.get(i, -1) for i in asked]
