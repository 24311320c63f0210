"""Evaluate a model on test cases: metrics with confidence intervals, and the lists and ranks behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import Literal

import numpy as np

from embedrec.config import Settings
from embedrec.data.events import factorize
from embedrec.data.ranking_metrics import ranked_metrics
from embedrec.data.sessions import Sessions
from embedrec.errors import DataError, SettingsError
from embedrec.evaluation.beyond_accuracy import list_metrics, whole_metrics
from embedrec.evaluation.bootstrap import DRAWS, interval, resampled_means
from embedrec.evaluation.target_ranks import Ties, rank
from embedrec.models.base import Model
from embedrec.progress import Report, quiet
from embedrec.splitting.test_cases import TestCases


@dataclass(frozen=True)
class EvaluationSettings(Settings):
    """Settings of an evaluation.

    at            list lengths k of the metrics
    exclude_seen  whether items of the history are left out of the lists
    ties          position of a target among items of equal score, see `rank`
    unknown       targets unknown to training: "miss" counts them as missed, "drop" removes them
    draws         resamples for the 95 % intervals; 0 for none
    seed          of the resamples
    """

    at: tuple[int, ...] = (1, 5, 10, 20)
    exclude_seen: bool = False
    ties: Ties = "conservative"
    unknown: Literal["miss", "drop"] = "miss"
    draws: int = DRAWS
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.at or min(self.at) < 1:
            raise SettingsError(f"list lengths must be at least 1, but are {self.at}")
        object.__setattr__(self, "at", tuple(sorted(set(self.at))))


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of an evaluation.

    questions  Q test cases in the training vocabulary
    lists      (Q, r) int32 rows in the training vocabulary, −1 for missing; at least max k long, and as long
               as the most targets of a case, up to 500, as R-precision needs
    scores     (Q, r) float32 of their items, −inf for missing
    ranks      (T,) float64 ranks of the targets, infinite for missed ones
    values     metric → (Q,), a value a case; NaN if undefined
    whole      metric → value of all lists together
    resampled  (draws, len(values)) means of resampled sessions, columns in the order of `values`
    seconds    run time
    """

    terms: EvaluationSettings
    questions: TestCases
    lists: np.ndarray
    scores: np.ndarray
    ranks: np.ndarray
    values: Mapping[str, np.ndarray]
    whole: Mapping[str, float]
    resampled: np.ndarray
    seconds: float

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Every metric: means over test cases, and values of all lists."""
        means = {key: mean_of(column) for key, column in self.values.items()}
        return {**means, **self.whole}

    @cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % intervals of the means, by bootstrap over sessions; empty without draws."""
        if not self.terms.draws:
            return {}
        low, high = interval(self.resampled)
        return {key: (float(low[i]), float(high[i])) for i, key in enumerate(self.values)}


def evaluate(
    model: Model,
    questions: TestCases,
    train: Sessions,
    terms: EvaluationSettings | None = None,
    *,
    report: Report = quiet,
) -> Evaluation:
    """Evaluate a model on test cases, with the whole catalogue ranked.

    train   the training sessions: the catalogue, and the items' popularity
    report  "progress" with `done` and `total` questions

    Raises DataError if no test case is left, SettingsError for lists longer than the catalogue.
    """
    terms = terms or EvaluationSettings()
    started = perf_counter()
    questions = in_catalogue(questions, train, terms)
    check_lengths(terms, train)
    k = terms.at[-1]
    # R-precision needs lists as long as there are targets, up to a useful length
    depth = max(k, min(int(questions.relevant.max()), _DEEPEST, len(train.vocab)))
    ranking = rank(model, questions, depth, exclude_seen=terms.exclude_seen, ties=terms.ties, report=report)
    row_of = np.append(train.vocab.rows_of(ranking.vocab.ids), -1).astype(np.int32)
    lists = np.full((len(questions), depth), -1, dtype=np.int32)
    scores = np.full(lists.shape, -np.inf, dtype=np.float32)
    width = ranking.rows.shape[1]  # less where the model has fewer items
    lists[:, :width], scores[:, :width] = row_of[ranking.rows], ranking.scores
    values = {
        **ranked_metrics(ranking.ranks, ranking.offsets, terms.at),
        **list_metrics(lists, train, terms.at),
    }
    if ranking.rows.shape[1] < min(int(questions.relevant.max()), len(ranking.vocab)):
        # undefined for a list shorter than the number of targets
        values["r_precision"] = np.where(questions.relevant <= depth, values["r_precision"], np.nan)
    whole = whole_metrics(lists, train, terms.at, seed=terms.seed)
    table = np.stack(list(values.values()), axis=1)
    # "similar" has several cases a held-out session, each with a history of its own
    session, _ = factorize(questions.sessions.ids)
    resampled = resampled_means(table, session[questions.session], draws=terms.draws, seed=terms.seed)
    seconds = perf_counter() - started
    return Evaluation(terms, questions, lists, scores, ranking.ranks, values, whole, resampled, seconds)


_DEEPEST = 500


def check_lengths(terms: EvaluationSettings, train: Sessions) -> None:
    """Raises SettingsError for lists longer than the catalogue."""
    k, n = terms.at[-1], len(train.vocab)
    if k > n:
        raise SettingsError(f"lists of {k} are longer than the catalogue of {n} items; use shorter ones")


def in_catalogue(questions: TestCases, train: Sessions, terms: EvaluationSettings) -> TestCases:
    """The test cases in the training vocabulary, without unknown targets if the settings drop them.

    Raises DataError if none is left.
    """
    questions = questions.reindex(train.vocab)
    if terms.unknown == "drop":
        questions = questions.answerable()
    if not len(questions):
        raise DataError("no test case is left, as training knows none of the targets; check the split")
    return questions


def mean_of(column: np.ndarray) -> float:
    """The mean of the defined values of a metric (Q,); NaN if there are none."""
    given = column[~np.isnan(column)]
    return float(given.mean()) if len(given) else float("nan")
