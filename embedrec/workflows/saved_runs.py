"""Evaluate a saved run: ranked lists and targets in files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from embedrec.evaluation.trec_runs import load_run


@dataclass(frozen=True)
class RunEvaluation:
    """The metrics of a saved run.

    test_cases  their number
    longest     length of the longest list; metrics at larger k are computed on the available items
    """

    metrics: dict[str, float]
    test_cases: int
    longest: int


def evaluate_run(run: Path, qrels: Path | None, at: tuple[int, ...]) -> RunEvaluation:
    """Evaluate a saved run, or a TREC run file with its qrels, at the list lengths `at`."""
    loaded = load_run(run, qrels)
    values = loaded.metrics(at)
    metrics = {key: float(column.mean()) for key, column in values.items()}
    return RunEvaluation(metrics, len(values["r_precision"]), int(loaded.rank.max(initial=0)))
