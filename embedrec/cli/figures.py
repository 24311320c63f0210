"""Evaluations as records: tables for people, flat objects for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embedrec.data.sessions import Sessions
    from embedrec.evaluate.evaluation import Evaluation
    from embedrec.trial import Contender

_SHOWN = ("recall", "mrr", "ndcg")  # in tables by kind of question


def spent(contender: Contender, result: Evaluation) -> dict[str, Any]:
    """How many questions, and how long it took; no training seconds where the model was there already."""
    return {
        "questions": len(result.questions),
        "targets": len(result.questions.targets),
        "train_seconds": None if contender.seconds is None else round(contender.seconds, 3),
        "seconds": round(result.seconds, 3),
    }


def flat(result: Evaluation) -> dict[str, float | None]:
    """Flat keys: "recall@20", and "recall@20_low" and "recall@20_high" for its interval; null where undefined."""
    values: dict[str, float | None] = {}
    for key, value in result.metrics.items():
        values[key] = _number(value)
        if key in result.intervals:
            low, high = result.intervals[key]
            values[f"{key}_low"], values[f"{key}_high"] = _number(low), _number(high)
    return values


def by_metric(
    metrics: Mapping[str, float], intervals: Mapping[str, tuple[float, float]], ks: Sequence[int]
) -> list[dict[str, Any]]:
    """A row a metric, a column a length of list; the interval is that of the longest."""
    names = list(dict.fromkeys(key.partition("@")[0] for key in metrics))
    rows = []
    for name in names:
        plain = name in metrics  # r_precision has no length
        cells = {f"@{k}": metrics.get(f"{name}@{k}", metrics[name] if plain else None) for k in ks}
        row: dict[str, Any] = {"metric": name, **cells}
        last = name if plain else max((key for key in metrics if key.startswith(f"{name}@")), key=_length)
        if intervals:
            row["low"], row["high"] = intervals.get(last, (None, None))
        if not plain and last not in (f"{name}@{k}" for k in ks):  # a metric with a length of its own
            row["metric"], row[f"@{ks[-1]}"] = last, metrics[last]
        rows.append(row)
    return rows


def breakdown(by: str, result: Evaluation, train: Sessions) -> Iterator[dict[str, Any]]:
    """The table by length of the history, or by popularity of the target, at the longest list."""
    from embedrec.evaluate.breakdown import by_length, by_popularity

    metrics = [f"{name}@{result.terms.at[-1]}" for name in _SHOWN]
    return by_length(result, metrics) if by == "length" else by_popularity(result, train, metrics)


def _length(key: str) -> int:
    return int(key.partition("@")[2])


def _number(value: float) -> float | None:
    return None if isnan(value) else value  # JSON has no NaN
