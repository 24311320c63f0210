"""Metrics as a table with a row per metric and a column per list length."""

from __future__ import annotations

from embedrec.cli.shared.metric_table import by_metric


def test_a_row_per_metric_and_a_column_per_length() -> None:
    metrics = {"recall@1": 0.1, "recall@5": 0.5, "mrr@1": 0.1, "mrr@5": 0.3}
    assert by_metric(metrics, {}, (1, 5)) == [
        {"metric": "recall", "@1": 0.1, "@5": 0.5},
        {"metric": "mrr", "@1": 0.1, "@5": 0.3},
    ]


def test_the_interval_is_that_of_the_longest_list() -> None:
    metrics = {"recall@5": 0.5, "recall@10": 0.7, "coverage@5": 0.2, "coverage@10": 0.4}
    intervals = {"recall@5": (0.4, 0.6), "recall@10": (0.65, 0.75)}
    assert by_metric(metrics, intervals, (5, 10)) == [
        {"metric": "recall", "@5": 0.5, "@10": 0.7, "low": 0.65, "high": 0.75},
        {"metric": "coverage", "@5": 0.2, "@10": 0.4, "low": None, "high": None},
    ]


def test_a_metric_without_a_length_is_in_every_column() -> None:
    (row,) = by_metric({"r_precision": 0.25}, {"r_precision": (0.2, 0.3)}, (1, 5))
    assert row == {"metric": "r_precision", "@1": 0.25, "@5": 0.25, "low": 0.2, "high": 0.3}


def test_a_metric_of_another_length_is_named_with_it_and_is_in_the_last_column() -> None:
    rows = by_metric({"recall@5": 0.5, "label_overlap@10": 0.8}, {}, (1, 5))
    assert rows[1] == {"metric": "label_overlap@10", "@1": None, "@5": 0.8}
