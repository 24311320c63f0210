"""The sentence about a comparison: the best model, models that are not distinguishable from it, and worse ones."""

from __future__ import annotations

from typing import Any

from embedrec.evaluation.comparison_summary import lead_metric, summarise_comparison


def _row(model: str, value: float | None, gap: tuple[float, float] | None = (0.0, 0.0)) -> dict[str, Any]:
    row: dict[str, Any] = {"model": model, "mrr@5": 0.5, "recall@5": value, "low": 0.1, "high": 0.9, "gap_to_best": 0.1}
    return row | ({} if gap is None else {"gap_to_best_low": gap[0], "gap_to_best_high": gap[1]})


def test_models_whose_gap_contains_0_are_not_distinguishable() -> None:
    rows = [_row("a", 0.5), _row("b", 0.49, (-0.01, 0.02)), _row("c", 0.48, (0.0, 0.04)), _row("d", 0.2, (0.1, 0.4))]
    start = "a is best: recall@5 0.500 (95% interval 0.100 to 0.900)"
    assert summarise_comparison(rows) == f"{start}; b and c are not distinguishable; d is worse."
    assert summarise_comparison(rows[:2]) == f"{start}; b is not distinguishable."
    worse = [rows[0], *(_row(name, 0.1, (0.1, 0.4)) for name in "efg")]
    assert summarise_comparison(worse) == f"{start}; e, f and g are worse."


def test_no_claim_without_intervals() -> None:
    no_interval = {"gap_to_best_low": None, "gap_to_best_high": None}
    rows = [
        {"model": "a", "recall@5": 0.5, "gap_to_best": 0.0, **no_interval},
        {"model": "b", "recall@5": 0.4, "gap_to_best": 0.1, **no_interval},
    ]
    assert summarise_comparison(rows) == "a is best: recall@5 0.500."
    assert summarise_comparison([{"model": "a", "coverage@5": 0.25}]) == "a has coverage@5 0.250."
    assert summarise_comparison([_row("a", None)]) is None


def test_the_metric_with_an_interval_leads() -> None:
    assert lead_metric([_row("a", 0.5)]) == "recall@5"
    assert lead_metric([{"model": "a", "coverage@5": 0.25, "mrr@5": 0.1}]) == "coverage@5"
