"""Evaluate a model on test cases: metrics with confidence intervals, lists and ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import Any, Literal

import numpy as np

from embedrec.config import Settings
from embedrec.data.events import factorize
from embedrec.data.ranking_metrics import ranked_metrics
from embedrec.data.sessions import Sessions
from embedrec.errors import DataError, SettingsError
from embedrec.evaluation.beyond_accuracy import aggregate_metrics, list_metrics
from embedrec.evaluation.bootstrap import DRAWS, interval, resampled_means
from embedrec.evaluation.case_blocks import Compute, compute_here
from embedrec.evaluation.target_ranks import Ties, rank
from embedrec.models.base import Model
from embedrec.progress import Report, quiet
from embedrec.splitting.test_cases import TestCases
from embedrec.text import Described, Summary, counted


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


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Described):
    """The result of an evaluation.

    test_cases  Q test cases in the training vocabulary
    lists      (Q, r) int32 rows in the training vocabulary, −1 for missing; at least max k long, and as long
               as the most targets of a case, up to 500, as R-precision needs
    scores     (Q, r) float32 of their items, −inf for missing
    ranks      (T,) float64 ranks of the targets, infinite for missed ones
    values     metric → (Q,), a value a case; NaN if undefined
    aggregate  metric → value of all lists together
    resampled  (draws, len(values)) means of resampled sessions, columns in the order of `values`
    seconds    run time
    """

    settings: EvaluationSettings
    test_cases: TestCases
    lists: np.ndarray
    scores: np.ndarray
    ranks: np.ndarray
    values: Mapping[str, np.ndarray]
    aggregate: Mapping[str, float]
    resampled: np.ndarray
    seconds: float

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Every metric: means over test cases, and values of all lists."""
        means = {key: mean_of(column) for key, column in self.values.items()}
        return {**means, **self.aggregate}

    @cached_property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % intervals of the means, by bootstrap over sessions; empty without draws."""
        if not self.settings.draws:
            return {}
        low, high = interval(self.resampled)
        return {key: (float(low[i]), float(high[i])) for i, key in enumerate(self.values)}

    def _summary(self) -> Summary:
        main = [name for name in ("recall", "mrr", "ndcg") if f"{name}@{self.settings.at[-1]}" in self.metrics]
        keys = [f"{name}@{self.settings.at[-1]}" for name in main]
        facts = [*counted(cases=len(self.test_cases)), *(f"{key} {self.metrics[key]:.4f}" for key in keys)]
        limits = [self.intervals.get(key, (None, None)) for key in self.metrics]
        columns: dict[str, list[Any]] = {"metric": [*self.metrics], "value": [*self.metrics.values()]}
        return Summary(facts, {**columns, "low": [low for low, _ in limits], "high": [high for _, high in limits]})

    def to_frame(self) -> Any:
        """A pandas.DataFrame with a row a metric; columns as of `to_arrow`.

        Raises SettingsError, with the command that installs it, if pandas is missing.
        """
        from embedrec.data.arrow_tables import to_pandas

        return to_pandas(self.to_arrow())

    def to_arrow(self) -> Any:
        """A pyarrow.Table with a row a metric.

        Columns: metric ("ndcg"), k (list length, null for metrics without one), value, and low and high, the 95 %
        interval (null for metrics of all lists together, and without draws).
        """
        import pyarrow as pa

        parts = [key.partition("@") for key in self.metrics]
        limits = [self.intervals.get(key, (None, None)) for key in self.metrics]
        return pa.table(
            {
                "metric": [name for name, _, _ in parts],
                "k": pa.array([int(k) if k else None for _, _, k in parts], pa.int64()),
                "value": pa.array(list(self.metrics.values()), pa.float64()),
                "low": pa.array([low for low, _ in limits], pa.float64()),
                "high": pa.array([high for _, high in limits], pa.float64()),
            }
        )

    def cases_to_frame(self) -> Any:
        """A pandas.DataFrame with a row a test case; columns as of `cases_to_arrow`.

        Raises SettingsError, with the command that installs it, if pandas is missing.
        """
        from embedrec.data.arrow_tables import to_pandas

        return to_pandas(self.cases_to_arrow())

    def cases_to_arrow(self) -> Any:
        """A pyarrow.Table with a row a test case: for paired tests and plots of your own.

        Columns: session (id), history (number of its items), and every metric that has a value a case ("ndcg@10"),
        NaN where it is undefined.
        """
        import pyarrow as pa

        from embedrec.data.arrow_tables import id_column

        cases = self.test_cases
        columns = {"session": id_column(cases.sessions.ids).take(pa.array(cases.session)), "history": cases.length}
        return pa.table({**columns, **self.values})


def evaluate(
    model: Model,
    test_cases: TestCases,
    train: Sessions,
    settings: EvaluationSettings | None = None,
    *,
    compute: Compute = compute_here,
    report: Report = quiet,
) -> Evaluation:
    """Evaluate a model on test cases, with the whole catalogue ranked.

    train   the training sessions: the catalogue, and the items' popularity
    compute  where blocks of cases are ranked
    report  "progress" with `done` and `total` test cases

    Raises DataError if no test case is left, SettingsError for lists longer than the catalogue.
    """
    settings = settings or EvaluationSettings()
    started = perf_counter()
    test_cases = reindex_test_cases(test_cases, train, settings)
    check_list_lengths(settings, train)
    k = settings.at[-1]
    # R-precision needs lists as long as there are targets, up to a useful length
    depth = max(k, min(int(test_cases.relevant.max()), _DEEPEST, len(train.vocab)))
    rules: dict[str, Any] = {"exclude_seen": settings.exclude_seen, "ties": settings.ties}
    ranking = rank(model, test_cases, depth, **rules, compute=compute, report=report)
    row_of = np.append(train.vocab.rows_of(ranking.vocab.ids), -1).astype(np.int32)
    lists = np.full((len(test_cases), depth), -1, dtype=np.int32)
    scores = np.full(lists.shape, -np.inf, dtype=np.float32)
    width = ranking.rows.shape[1]  # less where the model has fewer items
    lists[:, :width], scores[:, :width] = row_of[ranking.rows], ranking.scores
    values = {
        **ranked_metrics(ranking.ranks, ranking.offsets, settings.at),
        **list_metrics(lists, train, settings.at),
    }
    if ranking.rows.shape[1] < min(int(test_cases.relevant.max()), len(ranking.vocab)):
        # undefined for a list shorter than the number of targets
        values["r_precision"] = np.where(test_cases.relevant <= depth, values["r_precision"], np.nan)
    aggregate = aggregate_metrics(lists, train, settings.at, seed=settings.seed)
    table = np.stack(list(values.values()), axis=1)
    # "similar" has several cases a held-out session, each with a history of its own
    session, _ = factorize(test_cases.sessions.ids)
    resampled = resampled_means(table, session[test_cases.session], draws=settings.draws, seed=settings.seed)
    seconds = perf_counter() - started
    return Evaluation(settings, test_cases, lists, scores, ranking.ranks, values, aggregate, resampled, seconds)


_DEEPEST = 500


def check_list_lengths(settings: EvaluationSettings, train: Sessions) -> None:
    """Raises SettingsError for lists longer than the catalogue."""
    k, n = settings.at[-1], len(train.vocab)
    if k > n:
        raise SettingsError(f"lists of {k} are longer than the catalogue of {n} items; use shorter ones")


def reindex_test_cases(test_cases: TestCases, train: Sessions, settings: EvaluationSettings) -> TestCases:
    """The test cases in the training vocabulary, without unknown targets if the settings drop them.

    Raises DataError if none is left.
    """
    test_cases = test_cases.reindex(train.vocab)
    if settings.unknown == "drop":
        test_cases = test_cases.answerable()
    if not len(test_cases):
        raise DataError("no test case is left, as training knows none of the targets; check the split")
    return test_cases


def mean_of(column: np.ndarray) -> float:
    """The mean of the defined values of a metric (Q,); NaN if there are none."""
    given = column[~np.isnan(column)]
    return float(given.mean()) if len(given) else float("nan")
