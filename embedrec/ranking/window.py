"""The last window of the training sessions: questions that the parts have not seen, to learn from.

Parts are trained on the sessions without the window; the ranker learns on the window's questions; then the parts are
trained again on everything. Where sessions have times, the window is their last tenth; where they have none, their
order stands for it. Where each session is all of a user's history, the window is the last events of each session.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.errors import DataError
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.leakage import check_leaks
from embedrec.splitting.rules import Tail, Time
from embedrec.splitting.test_cases import TestCases, next_items

Purpose = Literal["next", "similar"]
_LEARNING = 0.6  # share of the window's sessions that the ranker learns on
_MOST_EVENTS = 10  # held-out events of a history
_RARITY = 0.5  # of targets of similar items
_SHORTEST = 3  # events of a history of which some are held out


@dataclass(frozen=True, eq=False)
class Window:
    """A training part without its last window, and questions of the window.

    train        the sessions before the window, on which the parts are trained
    learning     questions to learn from
    stopping     later questions, for early stopping and the choice of settings
    validation   questions of the same time as `stopping`, of other sessions, for the comparison with the parts
    exclude_seen whether items of the history are left out of lists; False if sessions repeat items
    leak_check   the results of the leak check, a sentence each

    Questions are in the vocabulary of `train`, with one known target each.
    """

    train: Sessions
    learning: TestCases
    stopping: TestCases
    validation: TestCases
    exclude_seen: bool
    leak_check: list[str]


def hold_out_window(sessions: Sessions, share: float, questions: int, *, seed: int, of: Purpose = "next") -> Window:
    """The last window of sessions.

    share      share of the events or sessions in the window
    questions  most questions in all, drawn at random
    of         "next": every prefix of a session of the window, with the next item as the target; "similar": every item
               of a session alone, with another of its items as the target, drawn at random

    Raises DataError if the window has fewer than three sessions with questions.
    """
    if _one_per_user(sessions):
        train, held_out = _last_events(sessions, share)
        in_time = False
    else:
        in_time = sessions.times is not None
        rule = Time(share=share) if in_time else Tail(share=share)
        train, held_out = rule.split(sessions)
    messages = check_leaks(train, held_out, in_time=in_time)
    cases = _sample(_questions(held_out, train, share, of, seed), questions, seed)
    session = session_numbers(cases)
    chosen = np.unique(session)
    if len(chosen) < 3:
        raise DataError(
            f"the last window of the sessions has {len(chosen)} sessions with a known item to predict, but needs 3; "
            f"prepare more sessions, or set a larger window than {share:g}"
        )
    place = np.searchsorted(chosen, session)  # (Q,) among the sessions with questions, oldest first
    # at least one session for each purpose
    first = min(max(1, int(_LEARNING * len(chosen))), len(chosen) - 2)
    late = place >= first
    # a random half of the late sessions: every second one could be of one kind
    half = np.random.default_rng(seed).permutation(len(chosen) - first)[: (len(chosen) - first) // 2]
    second = np.isin(place, first + half)
    learning, stopping, validation = (cases.filter(mask) for mask in (~late, late & ~second, late & second))
    return Window(train, learning, stopping, validation, not _repeats(sessions), messages)


def session_numbers(cases: TestCases) -> np.ndarray:
    """The number of the session of each question, ascending: (Q,) int64."""
    ids = cases.sessions.ids[cases.session]
    return np.concatenate([np.zeros(min(1, len(ids)), np.int64), np.cumsum(ids[1:] != ids[:-1])])


def _questions(held_out: HeldOut, train: Sessions, share: float, of: Purpose, seed: int) -> TestCases:
    try:
        if of == "similar":
            return similar_questions(held_out, train, seed)
        return next_items(held_out).reindex(train.vocab).answerable()
    except DataError as e:
        raise DataError(
            f"the last window of the sessions, a share of {share:g}, has no questions, as no session in it has two "
            "items; set a larger window, or prepare longer sessions"
        ) from e


def similar_questions(held_out: HeldOut, train: Sessions, seed: int) -> TestCases:
    """Every item of a held-out session alone, with another of its items as the target.

    Targets are drawn with weights mentions ** −0.5 of the training: popular items, which are in sessions of every kind,
    would be the answer to most questions otherwise. Raises DataError if there are none.
    """
    vocab, sessions = train.vocab, held_out.sessions
    held = sessions.filter_events(sessions.position_of >= np.repeat(held_out.given, sessions.lengths)).reindex(vocab)
    n = max(len(vocab), 1)
    pairs = np.unique(held.session_of * n + held.items)  # each item once a session
    session, item = pairs // n, pairs % n
    keep = np.bincount(session, minlength=len(held))[session] > 1
    session, item = session[keep], item[keep]
    if not len(item):
        raise DataError("no held-out session has two known items; hold out longer sessions")
    weights = np.maximum(np.bincount(train.items, minlength=n), 1)[item] ** -_RARITY  # (Q,)
    ends = np.cumsum(weights)
    low = np.searchsorted(session, session)  # (Q,) the first item of the same session
    high = np.searchsorted(session, session, side="right")
    before = ends - weights
    drawn = np.random.default_rng(seed).random(len(item)) * (ends[high - 1] - before[low] - weights) + before[low]
    drawn = np.where(drawn >= before, drawn + weights, drawn)  # skips the item itself
    place = np.clip(np.searchsorted(ends, drawn, side="right"), low, high - 1)
    place = np.where(place == np.arange(len(item)), np.where(place + 1 < high, place + 1, low), place)  # rounding
    alone = Sessions(np.arange(len(item) + 1), item.astype(np.int32), vocab, sessions.ids[session])
    one, offsets = np.ones(len(item), dtype=np.int64), np.arange(len(item) + 1)
    return TestCases(alone, np.arange(len(item)), one, offsets, item[place])


def _sample(cases: TestCases, most: int, seed: int) -> TestCases:
    if len(cases) <= most:
        return cases
    keep = np.zeros(len(cases), dtype=bool)
    keep[np.random.default_rng(seed).permutation(len(cases))[:most]] = True
    return cases.filter(keep)


def _one_per_user(sessions: Sessions) -> bool:
    """Whether each session is all of a user's history."""
    return sessions.users is not None and len(set(sessions.users.tolist())) == len(sessions)


def _repeats(sessions: Sessions) -> bool:
    """Whether a session contains an item twice."""
    pairs = sessions.session_of * max(len(sessions.vocab), 1) + sessions.items
    return len(np.unique(pairs)) < len(pairs)


def _last_events(sessions: Sessions, share: float) -> tuple[Sessions, HeldOut]:
    """Hold out the last share of the events of each session of three or more, at least one and at most ten."""
    lengths = sessions.lengths
    held = np.where(lengths >= _SHORTEST, np.clip((share * lengths).astype(np.int64), 1, _MOST_EVENTS), 0)  # (S,)
    early = sessions.position_of < np.repeat(lengths - held, lengths)
    train = sessions.filter_events(early).drop_unused_items()
    test = sessions.take(np.flatnonzero(held)).drop_unused_items()
    return train, HeldOut(test, (lengths - held)[held > 0])


def relevant_items(cases: TestCases) -> np.ndarray:
    """The target of each question: (Q,) int64 rows in the vocabulary of the questions."""
    return cases.targets[cases.offsets[:-1]]


def all_histories(cases: TestCases) -> Sessions:
    """The histories of all questions, as sessions."""
    return replace(cases.histories(0, len(cases)), ids=np.arange(len(cases)))
