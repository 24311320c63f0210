"""The gate: each threshold, at its edge."""

from __future__ import annotations

from dataclasses import replace

import pytest

from embedrec.errors import SettingsError
from embedrec.evaluation.drift import Drift, item_drift
from embedrec.evaluation.drift_gate import NO_GATE, Gate
from tests.evaluation.test_drift import random_source


@pytest.fixture
def drift() -> Drift:
    old, new = random_source(list("abcdef"), 0), random_source(list("abcdef"), 1)
    return item_drift(old, new, k=3)


def test_a_threshold_that_is_met_says_nothing(drift: Drift) -> None:
    whole = replace(drift, recall=(0.99, 0.98), recall_name="recall@20", metric=(0.3, 0.28), metric_name="recall@20")
    assert Gate(whole.overlap, 0.01, 0.02).failures(whole) == []
    assert NO_GATE.failures(replace(whole, recall=(1, 0), metric=(1, 0))) == []
    assert Gate(0, 0, 0).failures(drift) == []  # what was not measured fails nothing


def test_each_failure_is_a_clause(drift: Drift) -> None:
    worse = replace(
        drift, recall=(0.99, 0.97), recall_name="recall@20", metric=(0.3, 0.25), metric_name="recall@5",
        metric_gap=(-0.06, -0.04),
    )  # fmt: skip
    assert 0 < drift.overlap < 0.9
    assert Gate(0.9, 0.01, 0.02).failures(worse) == [
        f"overlap@3 {drift.overlap:.4f} is below --min-overlap 0.9",
        "recall@20 of the index drops from 0.9900 to 0.9700, by more than --max-recall-drop 0.01",
        "recall@5 on new sessions drops from 0.3000 to 0.2500, by more than --max-metric-drop 0.02",
    ]


def test_a_loss_that_chance_explains_does_not_count(drift: Drift) -> None:
    gate = Gate(0, 0, 0.02)
    lost = replace(drift, metric=(0.3, 0.25), metric_name="recall@5")
    assert gate.failures(replace(lost, metric_gap=(-0.11, 0.01))) == []
    assert len(gate.failures(replace(lost, metric_gap=(-0.11, -0.01)))) == len(gate.failures(lost)) == 1


@pytest.mark.parametrize("name", ["min_overlap", "max_recall_drop", "max_metric_drop"])
def test_thresholds_are_shares(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} must be between 0 and 1, but is 1.5"):
        Gate(**{name: 1.5})
