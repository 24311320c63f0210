"""Rules from the last item to the next: association rules and sequential rules.

Ludewig & Jannach 2018 ("Evaluation of Session-based Recommendation Algorithms"), after Agrawal, Imieliński & Swami 1993
for rules of two items. Fast, and often near the best in published comparisons.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from embedrec.config import Settings, check_bounds
from embedrec.data.session_changes import SessionChanges
from embedrec.data.sessions import Sessions, check_sessions
from embedrec.data.topk import TopK, check_k
from embedrec.data.vocab import Vocab
from embedrec.models.base import Arrays, ExactIncrement
from embedrec.models.long_sessions import report_long
from embedrec.models.neighbour_lists import ListsModel, check_lists
from embedrec.models.pair_counts import NO_NUMBERS, PairCounting, every_mention, every_pair
from embedrec.models.session_weights import exact_weights
from embedrec.progress import Report, quiet

if TYPE_CHECKING:
    from embedrec.kernels.pair_counts import Mentions


@dataclass(frozen=True)
class _Rules(Settings, ExactIncrement, ABC):
    """Settings of both kinds.

    pruning  best rules kept for each item
    itself   whether an item can follow itself (repeated clicks); has effect only when seen items are not excluded
    """

    name: ClassVar[str]

    pruning: int = 20
    itself: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, {"pruning": (1, np.inf)})

    def fit(
        self,
        sessions: Sessions,
        *,
        seed: int = 0,
        threads: int = 1,
        report: Report = quiet,
        init: RulesModel | None = None,
        changes: SessionChanges | None = None,
    ) -> RulesModel:
        """Count; only `sessions` has an effect.

        report  called as report("long_sessions", …), see `report_long`, and report("progress", done=, total=,
                unit="events")
        """
        from embedrec.kernels.pair_counts import COUNT, Formula

        check_sessions(sessions)
        formula = Formula(COUNT, NO_NUMBERS, NO_NUMBERS, 0.0, 0.0, 0.0)
        counting = PairCounting(self.mentions(sessions, report), formula, threads, report)
        return self.from_arrays(sessions.vocab, counting.best_lists(self.pruning))

    @abstractmethod
    def mentions(self, sessions: Sessions, report: Report) -> Mentions:
        """The mentions whose pairs are the rules. Reports "long_sessions"."""

    def from_arrays(self, vocab: Vocab, arrays: Arrays) -> RulesModel:
        """The model of the arrays "items" and "scores", both (n, m). Raises DataError when they do not fit."""
        check_lists(vocab, arrays, "rules")
        return RulesModel(self, vocab, arrays)


@dataclass(frozen=True)
class AssociationRules(_Rules):
    """Items of the same session, in any order: every pair of mentions counts 1, both ways.

    pruning  best rules kept for each item
    itself   whether an item can follow itself (repeated clicks); has effect only when seen items are not excluded

    The work grows with the squared number of different items of a session. Raises SettingsError for a pruning below 1.

    >>> from embedrec import Sessions, AssociationRules
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = AssociationRules().fit(sessions)
    >>> model.recommend(Sessions.of_lists([["bread"]], sessions.vocab), 1).ids()
    [['jam']]
    """

    name: ClassVar[str] = "ar"
    SPACE: ClassVar[dict[str, str]] = {
        "pruning": "5..200 log",
        "itself": "true,false",
    }

    def mentions(self, sessions: Sessions, report: Report) -> Mentions:
        """Every pair of mentions of a session."""
        mentions = every_pair(sessions, itself=self.itself)
        report_long(sessions, np.diff(mentions.offsets), 0, report)
        return mentions


@dataclass(frozen=True)
class SequentialRules(_Rules):
    """Items up to `steps` mentions later in the session, weighted by 1 / distance.

    pruning  best rules kept for each item
    itself   whether an item can follow itself (repeated clicks); has effect only when seen items are not excluded
    steps    largest distance, in mentions

    Raises SettingsError for a pruning or steps below 1.

    >>> from embedrec import Sessions, SequentialRules
    >>> sessions = Sessions.of_lists([["bread", "jam"], ["bread", "jam", "nail"], ["hammer", "nail"]])
    >>> model = SequentialRules(steps=2).fit(sessions)
    >>> model.recommend(Sessions.of_lists([["bread"]], sessions.vocab), 1).ids()
    [['jam']]
    """

    name: ClassVar[str] = "sr"
    SPACE: ClassVar[dict[str, str]] = {
        "steps": "1..20",
        "pruning": "5..200 log",
        "itself": "true,false",
    }
    VARIANTS: ClassVar[tuple[dict[str, object], ...]] = ({"steps": 1, "pruning": 2, "itself": False},)

    steps: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bounds(self, {"steps": (1, np.inf)})

    def mentions(self, sessions: Sessions, report: Report) -> Mentions:
        """Every mention, with those at most `steps` later."""
        reach = min(self.steps, max(1, int(sessions.lengths.max(initial=0))))
        report_long(sessions, sessions.lengths, reach, report)
        return every_mention(
            sessions, self.distance_weights(reach, len(sessions.items)), back=False, itself=self.itself
        )

    def distance_weights(self, reach: int, events: int) -> np.ndarray:
        """The weight of a pair by its distance, 0 … reach, for sessions of so many events: (reach + 1,) float64."""
        weights = 1 / np.maximum(np.arange(reach + 1), 1)
        return exact_weights(weights, events * float(weights.sum()))


@dataclass(frozen=True, eq=False, repr=False)
class RulesModel(ListsModel):
    """Recommends by the rules of the last item of a history; fewer than k if there are fewer, none for an empty
    history."""

    def recommend(self, histories: Sessions, k: int, *, exclude_seen: bool = True) -> TopK:
        """See `Model.recommend`."""
        from embedrec.kernels.first_unseen import take_unseen
        from embedrec.kernels.topk import empty_best

        check_k(k, len(self.vocab))
        histories = histories.reindex(self.vocab)
        nonempty = histories.lengths > 0
        last = np.full(len(histories), -1, dtype=np.int64)  # (q,) rows of the last items
        last[nonempty] = histories.items[histories.offsets[1:][nonempty] - 1]
        rows, scores = empty_best(len(histories), k)
        lists = (self.arrays["items"], self.arrays["scores"], last)
        take_unseen(*lists, histories.offsets, histories.items, len(self.vocab), not exclude_seen, rows, scores)
        return TopK(rows, scores, self.vocab)
