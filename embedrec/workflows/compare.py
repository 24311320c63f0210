"""Compare models by their evaluations: rows from best to worst with the gap to the best, and records for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isnan
from typing import Any

from embedrec.data.ranking_metrics import RANKED_METRICS
from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.evaluation.beyond_accuracy import AGGREGATE_METRICS, LIST_METRICS
from embedrec.evaluation.breakdown import by_length, by_popularity
from embedrec.evaluation.evaluate import Evaluation, EvaluationSettings
from embedrec.evaluation.item_similarity import LABEL_OVERLAP
from embedrec.evaluation.paired_differences import differences
from embedrec.workflows.evaluated_models import EvaluatedModel

_BREAKDOWN_METRICS = ("recall", "mrr", "ndcg")
Evaluations = Mapping[str, tuple[EvaluatedModel, Evaluation]]


def default_metrics(k: int, *, labelled: bool) -> list[str]:
    """The default metrics of a comparison, at list length k; with labels also their overlap."""
    return [f"{name}@{k}" for name in ("recall", "mrr", "ndcg", "coverage")] + [LABEL_OVERLAP] * labelled


def metric_names(settings: EvaluationSettings, *, labelled: bool) -> list[str]:
    """The metrics of an evaluation with these settings, in its order."""
    ranked = [f"{name}@{k}" for k in settings.at for name in RANKED_METRICS]
    listed = [f"{name}@{k}" for k in settings.at for name in LIST_METRICS]
    whole = [f"{name}@{k}" for k in settings.at for name in AGGREGATE_METRICS if k > 1 or name != "diversity"]
    return [*ranked, "r_precision", *listed, *whole, *[LABEL_OVERLAP] * labelled]


def check_metrics(
    shown: Iterable[str], settings: EvaluationSettings, *, labelled: bool = False, where: str = ""
) -> None:
    """Raises SettingsError for a metric that an evaluation with these settings does not have.

    where  start of the message: what names the metric
    """
    names = metric_names(settings, labelled=labelled)
    missing = next((m for m in shown if m not in names), None)
    if missing is not None:
        raise SettingsError(f"{where and f'{where}: '}unknown metric {missing!r}; valid are {', '.join(names)}")


def comparison_rows(evaluations: Evaluations, shown: Sequence[str]) -> list[dict[str, Any]]:
    """One row per model, sorted by the first metric with a value per test case, or the first metric if none has.

    Columns: model; the metrics, the first of them followed by `low` and `high`, its 95 % interval; `gap_to_best`, the
    difference to the best model in that metric, paired by session, with `gap_to_best_low` and `gap_to_best_high`;
    train_seconds; seconds.
    """
    values = next(iter(evaluations.values()))[1].values
    lead = next((m for m in shown if m in values), None)
    value_of = {name: result.metrics[lead or shown[0]] for name, (_, result) in evaluations.items()}
    order = sorted(value_of, key=lambda name: (isnan(value_of[name]), -value_of[name]))
    best = evaluations[order[0]][1]
    rows = []
    for name in order:
        evaluated, result = evaluations[name]
        row: dict[str, Any] = {"model": name}
        for metric in shown:
            row[metric] = result.metrics[metric]
            if metric == lead and result.settings.draws:
                row["low"], row["high"] = result.intervals[metric]
        if lead is not None:
            difference = next(d for d in differences(result, best) if d.metric == lead)
            row["gap_to_best"] = 0 - difference.value
            row["gap_to_best_low"], row["gap_to_best_high"] = _negated(difference.high), _negated(difference.low)
        rows.append({**row, "train_seconds": evaluated.seconds, "seconds": result.seconds})
    return rows


def comparison_record(evaluations: Evaluations, shown: Sequence[str], train: Sessions) -> dict[str, Any]:
    """A comparison as JSON values, without run times.

    rows       of `comparison_rows`
    metrics    model → `flat_metrics`
    by_length  model → table by length of the history; likewise by_popularity, of the target
    """
    rows = [nan_to_none(row) for row in comparison_rows(evaluations, shown)]
    record: dict[str, Any] = {
        "rows": [{key: value for key, value in row.items() if not key.endswith("seconds")} for row in rows],
        "metrics": {name: flat_metrics(result) for name, (_, result) in evaluations.items()},
    }
    for by in ("length", "popularity"):
        tables = {name: breakdown(by, result, train) for name, (_, result) in evaluations.items()}
        record[f"by_{by}"] = {name: list(map(nan_to_none, table)) for name, table in tables.items()}
    return record


def counts_and_times(evaluated: EvaluatedModel, result: Evaluation) -> dict[str, Any]:
    """Numbers of test cases and targets, and run times; no training time for a model that was trained before."""
    return {
        "questions": len(result.test_cases),
        "targets": len(result.test_cases.targets),
        "train_seconds": None if evaluated.seconds is None else round(evaluated.seconds, 3),
        "seconds": round(result.seconds, 3),
    }


def flat_metrics(result: Evaluation) -> dict[str, float | None]:
    """The metrics, their intervals as "recall@20_low" and "recall@20_high"; None where undefined."""
    values: dict[str, float | None] = {}
    for key, value in result.metrics.items():
        values[key] = _number(value)
        if key in result.intervals:
            low, high = result.intervals[key]
            values[f"{key}_low"], values[f"{key}_high"] = _number(low), _number(high)
    return values


def breakdown(by: str, result: Evaluation, train: Sessions) -> Iterator[dict[str, Any]]:
    """Metrics at the longest list, by "length" of the history or by "popularity" of the target."""
    metrics = [f"{name}@{result.settings.at[-1]}" for name in _BREAKDOWN_METRICS]
    return by_length(result, metrics) if by == "length" else by_popularity(result, train, metrics)


def nan_to_none(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with None for NaN, which JSON cannot represent."""
    return {key: _number(value) for key, value in row.items()}


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and isnan(value) else value


def _negated(value: float | None) -> float | None:
    return None if value is None else 0 - value
