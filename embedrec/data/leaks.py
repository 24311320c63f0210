"""The leak check: does the training part hold what it is asked about?"""

from __future__ import annotations

import numpy as np

from embedrec.data.held_out import HeldOut
from embedrec.data.sessions import Sessions
from embedrec.errors import DataError

_LONG = 3  # items; shorter sessions are alike by chance
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
    rows = np.array(_rows_of(train.ids, test.sessions.ids), dtype=np.int64)
    shared = np.flatnonzero(rows >= 0)
    if not len(shared):
        return f"none of the {len(test):,} held-out sessions is in training"
    code = _codes(train, test.sessions)
    leaked = [s for s in shared.tolist() if _goes_on(train, int(rows[s]), test, s, code)]
    # two files may number other sessions alike; among many, a few short ones then agree by chance
    if len(leaked) > _BY_CHANCE * len(shared):
        raise DataError(
            f"leak: training holds session {test.sessions.ids[leaked[0] : leaked[0] + 1].tolist()[0]!r} beyond the "
            f"{test.given[leaked[0]]} events that are given; split by session, or leave it out of training"
        )
    if leaked:
        return f"{len(leaked):,} of {len(shared):,} held-out sessions have the id and items of a training session"
    return f"of the {len(shared):,} held-out sessions that training has too, it holds only what is given"


def _goes_on(train: Sessions, row: int, test: HeldOut, s: int, code: np.ndarray) -> bool:
    """Whether training session `row` goes on with what is held out of session s, event by event."""
    known, whole = train[row], code[test.sessions[s]]
    length = min(len(known), len(whole))
    if length <= test.given[s] or (known[:length] != whole[:length]).any():
        return False
    if train.times is None or test.sessions.times is None:
        return True
    here, there = train.offsets[row], test.sessions.offsets[s]
    return bool((train.times[here : here + length] == test.sessions.times[there : there + length]).all())


def _copies(train: Sessions, test: HeldOut) -> list[str]:
    """How many held-out sessions stand in training item by item, under another id."""
    code = _codes(train, test.sessions)
    asked = np.flatnonzero((test.sessions.lengths >= _LONG) & (test.given == 0))
    if not len(asked):
        return []
    wanted = set(test.sessions.lengths[asked].tolist())
    there = {train[s].tobytes() for s in np.flatnonzero(np.isin(train.lengths, list(wanted))).tolist()}
    copies = sum(code[test.sessions[s]].tobytes() in there for s in asked.tolist())
    return [
        f"{copies:,} of {len(asked):,} held-out sessions of {_LONG} items or more equal a training session item by item"
    ]


def _times(train: Sessions, test: HeldOut, *, in_time: bool) -> list[str]:
    times = test.sessions.times
    if train.times is None or times is None or not len(train.times):
        return ["there are no times, so the order of training and held-out events was not checked"]
    lengths = test.sessions.lengths
    place = np.arange(len(times)) - np.repeat(test.sessions.offsets[:-1], lengths)
    asked = times[place >= np.repeat(np.maximum(test.given, 1), lengths)]
    if not len(asked):
        return []
    if not in_time:
        later = float((train.times >= asked.min()).mean())
        return [f"{later:.1%} of training events are not before the first one asked for: the split is none in time"]
    # a whole session may begin before the moment of the split, but ends after it
    bound = asked if test.given.any() else times[test.sessions.offsets[1:][lengths > 0] - 1]
    if train.times.max() >= bound.min():
        raise DataError("leak: a training event is not before all that is held out, though the split is one in time")
    what = "all that is held out" if test.given.any() else "the end of every held-out session"
    return [f"all training events are before {what}"]


def _codes(train: Sessions, other: Sessions) -> np.ndarray:
    """Training rows (n,) int32 of another vocabulary's items; −1 for unknown ones."""
    return train.vocab.rows(other.vocab.ids).astype(np.int32)


def _rows_of(ids: np.ndarray, wanted: np.ndarray) -> list[int]:
    if ids.dtype != wanted.dtype:
        return [-1] * len(wanted)
    row_of = dict(zip(ids.tolist(), range(len(ids)), strict=True))
    return [row_of.get(i, -1) for i in wanted.tolist()]
