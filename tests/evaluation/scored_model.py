"""A model with given scores, test cases for it, and Hypothesis strategies of both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from embedrec.data import Sessions, Vocab
from embedrec.data.topk import TopK, check_k, sort_results
from embedrec.models.baselines.popular import Popular
from embedrec.splitting.test_cases import TestCases
from tests.conftest import of_lists, read_only


@dataclass(frozen=True, eq=False)
class ScoredModel:
    """Scores the items of history number i by row i of `scores`, (n,); −inf for an item without a score."""

    vocab: Vocab
    scores: np.ndarray
    calls: list[tuple[int, int]] = field(default_factory=list)  # (histories, k) of every call

    recipe = Popular()
    arrays: Any = field(default_factory=dict)

    def recommend(self, histories: Sessions, k: int, *, exclude_seen: bool = True) -> TopK:
        check_k(k, len(self.vocab))
        self.calls.append((len(histories), k))
        histories = histories.reindex(self.vocab)
        scores = self.scores[histories.ids].astype(np.float32)
        for q in range(len(histories)):
            if exclude_seen:
                scores[q, histories[q]] = -np.inf
        rows = np.where(np.isneginf(scores), -1, np.arange(len(self.vocab)))
        return sort_results(rows, scores, self.vocab).first(k)


def numbered_vocab(n: int) -> Vocab:
    return Vocab([f"item {r}" for r in range(n)])


def make_test_cases(histories: list[list[int]], targets: list[list[int]], vocab: Vocab) -> TestCases:
    """Test cases after whole sessions, by rows of items; −1 for unknown targets."""
    sessions = Sessions(
        np.cumsum([0, *map(len, histories)]),
        np.array([i for h in histories for i in h], dtype=np.int32),
        vocab,
        np.arange(len(histories)),
    )
    return TestCases(
        sessions,
        read_only(np.arange(len(histories))),
        read_only(sessions.lengths),
        read_only(np.cumsum([0, *map(len, targets)])),
        read_only(np.array([t for own in targets for t in own], dtype=np.int64)),
    )


@dataclass(frozen=True)
class Case:
    """Test cases as lists, and the scores of a model for each: with many ties, −inf for none."""

    n: int
    histories: list[list[int]]
    targets: list[list[int]]
    scores: list[list[float]]

    @property
    def vocab(self) -> Vocab:
        return numbered_vocab(self.n)

    def model(self) -> ScoredModel:
        return ScoredModel(self.vocab, read_only(np.array(self.scores, dtype=np.float32).reshape(-1, self.n)))

    def test_cases(self) -> TestCases:
        return make_test_cases(self.histories, self.targets, self.vocab)

    def train(self) -> Sessions:
        """Sessions that contain every item, the first items more often."""
        return of_lists([self.vocab.ids[: r + 1] for r in range(self.n)], self.vocab)


@st.composite
def cases(draw: st.DrawFn, *, most: int = 12, several: bool = True) -> Case:
    n = draw(st.integers(1, most))
    count = draw(st.integers(1, 4))
    rows = st.integers(0, n - 1)
    score = st.sampled_from([-float("inf"), 0.0, 0.0, 1.0, 1.0, 2.0])
    targets = st.lists(st.integers(-1, n - 1), min_size=1, max_size=5 if several else 1, unique=True)
    return Case(
        n,
        draw(st.lists(st.lists(rows, max_size=3), min_size=count, max_size=count)),
        draw(st.lists(targets, min_size=count, max_size=count)),
        draw(st.lists(st.lists(score, min_size=n, max_size=n), min_size=count, max_size=count)),
    )
