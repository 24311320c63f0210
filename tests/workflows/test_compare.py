"""Rows of a comparison: their order, intervals and gaps to the best model."""

from __future__ import annotations

import json
from math import nan
from pathlib import Path

import pytest

from embedrec.errors import SettingsError
from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.evaluation.paired_differences import differences
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.workflows.compare import (
    Evaluations,
    check_metrics,
    comparison_record,
    comparison_rows,
    counts_and_times,
    default_metrics,
    flat_metrics,
    nan_to_none,
)
from embedrec.workflows.evaluate import EvaluationTask
from embedrec.workflows.evaluation_options import EvaluationOptions, evaluate_model

SHOWN = ("recall@5", "coverage@5")


@pytest.fixture
def comparison(root: Path, split_source: Artifact) -> tuple[EvaluationTask, Evaluations]:
    options = EvaluationOptions(at=(1, 5), draws=50)
    task = options.open_task(split_source)
    settings = options.settings(task)
    names = ("random", "popular", "sr")
    return task, {name: evaluate_model(Workspace(root), name, task, settings, options) for name in names}


def test_rows_are_best_first(comparison: tuple[EvaluationTask, Evaluations]) -> None:
    _, evaluations = comparison
    rows = comparison_rows(evaluations, SHOWN)
    recalls = [row["recall@5"] for row in rows]
    assert recalls == sorted(recalls, reverse=True)
    best = rows[0]
    assert (best["gap_to_best"], best["gap_to_best_low"], best["gap_to_best_high"]) == (0, 0, 0)
    assert list(best) == [
        "model", "recall@5", "low", "high", "coverage@5", "gap_to_best", "gap_to_best_low", "gap_to_best_high",
        "train_seconds", "seconds",
    ]  # fmt: skip
    for row in rows[1:]:
        difference = next(
            d
            for d in differences(evaluations[row["model"]][1], evaluations[best["model"]][1])
            if d.metric == "recall@5"
        )
        assert row["gap_to_best"] == pytest.approx(best["recall@5"] - row["recall@5"])
        assert (row["gap_to_best_low"], row["gap_to_best_high"]) == (
            pytest.approx(-difference.high),
            pytest.approx(-difference.low),
        )
    assert all(row["low"] <= row["recall@5"] <= row["high"] for row in rows)


def test_a_metric_of_all_lists_has_no_interval(comparison: tuple[EvaluationTask, Evaluations]) -> None:
    _, evaluations = comparison
    rows = comparison_rows(evaluations, ["coverage@5"])
    assert [list(row) for row in rows] == [["model", "coverage@5", "train_seconds", "seconds"]] * 3
    coverages = [row["coverage@5"] for row in rows]
    assert coverages == sorted(coverages, reverse=True)


def test_a_record_is_json_without_times(comparison: tuple[EvaluationTask, Evaluations]) -> None:
    task, evaluations = comparison
    record = json.loads(json.dumps(comparison_record(evaluations, SHOWN, task.train), allow_nan=False))
    assert list(record) == ["rows", "metrics", "by_length", "by_popularity"]
    assert not [key for row in record["rows"] for key in row if key.endswith("seconds")]
    evaluation = evaluations["popular"][1]
    assert record["metrics"]["popular"] == flat_metrics(evaluation)
    low, high = evaluation.intervals["recall@5"]
    assert (flat_metrics(evaluation)["recall@5_low"], flat_metrics(evaluation)["recall@5_high"]) == (low, high)
    counts = counts_and_times(*evaluations["popular"])
    assert (counts["questions"], counts["targets"]) == (len(task.test_cases), len(task.test_cases.targets))


def test_values_without_json_are_null() -> None:
    assert nan_to_none({"a": nan, "b": 1.5, "c": "nan"}) == {"a": None, "b": 1.5, "c": "nan"}


def test_unknown_metrics_are_refused() -> None:
    settings = EvaluationSettings((5,))
    check_metrics(default_metrics(5, labelled=False), settings)
    with pytest.raises(SettingsError, match=r"^\[compare\]: unknown metric 'recall@9'; valid are hit_rate@5, "):
        check_metrics(["recall@9"], settings, where="[compare]")
    with pytest.raises(SettingsError, match="unknown metric 'label_overlap@10'"):
        check_metrics(default_metrics(5, labelled=True), settings)
    check_metrics(default_metrics(5, labelled=True), settings, labelled=True)
