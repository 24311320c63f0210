"""Evaluations as records, and several models in one order: the best first, with how far the others are behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isnan
from typing import Any

from embedrec.data.ranking_metrics import RANKED_METRICS
from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.evaluation.beyond_accuracy import AGGREGATE_METRICS, LIST_METRICS
from embedrec.evaluation.breakdown import by_length, by_popularity
from embedrec.evaluation.evaluate import Evaluation, EvaluationSettings, check_list_lengths
from embedrec.evaluation.item_similarity import LABEL_OVERLAP
from embedrec.evaluation.paired_differences import differences
from embedrec.workflows.evaluate import EvaluationTask
from embedrec.workflows.evaluated_models import EvaluatedModel

_SHOWN = ("recall", "mrr", "ndcg")  # in tables by kind of question
Evaluations = Mapping[str, tuple[EvaluatedModel, Evaluation]]


def resolve_settings(
    task: EvaluationTask, at: Sequence[int], ties: Any, seen_items: str | None, unknown: Any, draws: int, seed: int
) -> EvaluationSettings:
    """How answers are judged.

    seen_items  items of the history: "keep" or "remove"; None keeps them where training sessions repeat items

    Raises SettingsError for lists longer than the catalogue.
    """
    keep = task.protocol != "similar" and task.has_repeats() if seen_items is None else seen_items == "keep"
    settings = EvaluationSettings(tuple(at), not keep, ties, unknown, draws, seed)
    check_list_lengths(settings, task.train)
    return settings


def default_metrics(k: int, *, labelled: bool) -> list[str]:
    """The metrics of a comparison where none are named: at length k, and with labels their overlap."""
    return [f"{name}@{k}" for name in ("recall", "mrr", "ndcg", "coverage")] + [LABEL_OVERLAP] * labelled


def metric_names(settings: EvaluationSettings, *, labelled: bool) -> list[str]:
    """The metrics that an evaluation on these terms has, in its order; those of labels are last."""
    ranked = [f"{name}@{k}" for k in settings.at for name in RANKED_METRICS]
    listed = [f"{name}@{k}" for k in settings.at for name in LIST_METRICS]
    whole = [f"{name}@{k}" for k in settings.at for name in AGGREGATE_METRICS if k > 1 or name != "diversity"]
    return [*ranked, "r_precision", *listed, *whole, *[LABEL_OVERLAP] * labelled]


def check_metrics(
    shown: Iterable[str], settings: EvaluationSettings, *, labelled: bool = False, where: str = ""
) -> None:
    """Raises SettingsError for a metric that an evaluation on these terms does not have, before anything is asked.

    where  what the message says that it is named in
    """
    names = metric_names(settings, labelled=labelled)
    missing = next((m for m in shown if m not in names), None)
    if missing is not None:
        raise SettingsError(f"{where and f'{where}: '}there is no metric {missing!r}; there are {', '.join(names)}")


def comparison_rows(done: Evaluations, shown: Sequence[str]) -> list[dict[str, Any]]:
    """A row a model, the best first in the first metric that has a value a question, else in the first.

    Columns: model; the metrics, that first one with the `low` and `high` of its 95 % interval; `behind`, how far the
    model is behind the best in it, paired by session, with `behind_low` and `behind_high`; train_seconds, seconds.
    """
    values = next(iter(done.values()))[1].values
    lead = next((m for m in shown if m in values), None)
    by_rank = {name: result.metrics[lead or shown[0]] for name, (_, result) in done.items()}
    order = sorted(by_rank, key=lambda name: (isnan(by_rank[name]), -by_rank[name]))
    best = done[order[0]][1]
    rows = []
    for name in order:
        evaluated, result = done[name]
        row: dict[str, Any] = {"model": name}
        for metric in shown:
            row[metric] = result.metrics[metric]
            if metric == lead and result.settings.draws:
                row["low"], row["high"] = result.intervals[metric]
        if lead is not None:
            gap = next(d for d in differences(result, best) if d.metric == lead)
            row |= {"behind": 0 - gap.value, "behind_low": _negated(gap.high), "behind_high": _negated(gap.low)}
        rows.append({**row, "train_seconds": evaluated.seconds, "seconds": result.seconds})
    return rows


def comparison_record(done: Evaluations, shown: Sequence[str], train: Sessions) -> dict[str, Any]:
    """A comparison as JSON values that do not depend on how long it took.

    rows         as `comparison_rows` gives them, without seconds
    metrics      model → every metric, with its interval, as `flat_metrics` gives them
    by_length    model → the table by length of the history; by_popularity likewise
    """
    rows = [
        {k: v for k, v in nan_to_none(row).items() if not k.endswith("seconds")} for row in comparison_rows(done, shown)
    ]
    record: dict[str, Any] = {
        "rows": rows,
        "metrics": {name: flat_metrics(result) for name, (_, result) in done.items()},
    }
    for by in ("length", "popularity"):
        lines = {name: breakdown(by, result, train) for name, (_, result) in done.items()}
        record[f"by_{by}"] = {name: [nan_to_none(line) for line in of_model] for name, of_model in lines.items()}
    return record


def counts_and_times(evaluated: EvaluatedModel, result: Evaluation) -> dict[str, Any]:
    """How many questions, and how long it took; no training seconds where the model was there already."""
    return {
        "questions": len(result.test_cases),
        "targets": len(result.test_cases.targets),
        "train_seconds": None if evaluated.seconds is None else round(evaluated.seconds, 3),
        "seconds": round(result.seconds, 3),
    }


def flat_metrics(result: Evaluation) -> dict[str, float | None]:
    """Flat keys: "recall@20", and "recall@20_low" and "recall@20_high" for its interval; null where undefined."""
    values: dict[str, float | None] = {}
    for key, value in result.metrics.items():
        values[key] = _number(value)
        if key in result.intervals:
            low, high = result.intervals[key]
            values[f"{key}_low"], values[f"{key}_high"] = _number(low), _number(high)
    return values


def breakdown(by: str, result: Evaluation, train: Sessions) -> Iterator[dict[str, Any]]:
    """The table by "length" of the history, or by "popularity" of the target, at the longest list."""
    metrics = [f"{name}@{result.settings.at[-1]}" for name in _SHOWN]
    return by_length(result, metrics) if by == "length" else by_popularity(result, train, metrics)


def nan_to_none(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with None for NaN, which JSON does not have."""
    return {key: _number(value) for key, value in row.items()}


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and isnan(value) else value


def _negated(value: float | None) -> float | None:
    return None if value is None else 0 - value
