"""Sessions in order of time, and comparisons of sessions and evaluation tasks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embedrec.data import Features, Sessions, Vocab
from embedrec.data.features import Lists
from embedrec.splitting.test_cases import cooccurring_items, next_items, remaining_items
from embedrec.workflows.evaluate import (
    EvaluationTask,
    Protocol,
)
from tests.conftest import of_lists
from tests.data.plain import plain_of

N = 30


def world() -> Sessions:
    """120 sessions of 12 users in order of time, two groups of items that do not co-occur, and their genres."""
    rng = np.random.default_rng(0)
    lists = []
    for s in range(120):
        half = (s % 2) * (N // 2)
        lists.append((half + np.minimum(rng.geometric(0.12, rng.integers(3, 11)) - 1, N // 2 - 1)).tolist())
    sessions = of_lists([[f"i{i:02}" for i in own] for own in lists]).drop_unused_items()
    vocab = Vocab(sessions.vocab.ids, np.array([i.upper() for i in sessions.vocab.ids], dtype=object))
    genre = np.array([int(i[1:]) >= N // 2 for i in vocab.ids], dtype=np.int32)
    genres = Lists(np.arange(len(vocab) + 1), genre, np.array(["first", "second"], dtype=object))
    return replace(
        sessions,
        vocab=vocab.with_counts(np.bincount(sessions.items)),
        times=np.arange(len(sessions.items)) * 3_600_000,
        weights=np.full(len(sessions.items), 4.0),
        users=np.array([f"u{s % 12}" for s in range(120)], dtype=object),
        item_features=Features(Vocab(vocab.ids[::-1]), lists={"genre": genres.take(np.arange(len(vocab))[::-1])}),
    )


def same(a: Sessions, b: Sessions) -> bool:
    return plain_of(a) == plain_of(b) and a.vocab.ids.tolist() == b.vocab.ids.tolist()


def has_test_cases(one: EvaluationTask, protocol: Protocol) -> bool:
    """Whether the test cases of a task are those of its protocol on its held-out part."""
    expected = {
        "next": lambda: next_items(one.test),
        "last": lambda: next_items(one.test, "last"),
        "rest": lambda: remaining_items(one.test, 1),
        "users": lambda: remaining_items(one.test),
        "similar": lambda: cooccurring_items(one.test, one.train.vocab),
    }[protocol]()
    return one.protocol == protocol and all(
        np.array_equal(getattr(one.test_cases, c), getattr(expected, c))
        for c in ("session", "length", "offsets", "targets")
    )
