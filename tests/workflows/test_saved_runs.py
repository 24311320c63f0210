"""Metrics of a saved run are those of the evaluation that it was saved from."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.errors import EmbedrecError
from embedrec.evaluation.evaluate import evaluate
from embedrec.evaluation.trec_runs import save_run
from embedrec.models.baselines.popular import Popular
from embedrec.storage.artifacts import Artifact
from embedrec.workflows.evaluate import target_ids
from embedrec.workflows.evaluation_options import EvaluationOptions
from embedrec.workflows.saved_runs import evaluate_run


def test_metrics_of_a_run_equal_those_of_the_evaluation(tmp_path: Path, split_source: Artifact) -> None:
    options = EvaluationOptions(at=(1, 5), draws=0)
    task = options.open_task(split_source)
    settings = options.settings(task)
    result = evaluate(Popular().fit(task.train), task.test_cases, task.train, settings)
    save_run(result, task.train.vocab, tmp_path / "run", {}, relevant=target_ids(task, settings))
    run = evaluate_run(tmp_path / "run", None, (1, 5))
    assert (run.test_cases, run.longest) == (len(result.test_cases), 5)
    for name in ("hit_rate@1", "recall@5", "mrr@5", "ndcg@5"):
        assert run.metrics[name] == pytest.approx(result.metrics[name])


def test_a_run_is_evaluated_with_qrels(tmp_path: Path) -> None:
    (tmp_path / "run.txt").write_text("q1 Q0 a 1 2.0 x\nq1 Q0 b 2 1.0 x\nq2 Q0 a 1 2.0 x\n")
    (tmp_path / "qrels.txt").write_text("q1 0 b 1\nq2 0 a 1\n")
    run = evaluate_run(tmp_path / "run.txt", tmp_path / "qrels.txt", (1, 2))
    assert (run.metrics["recall@1"], run.metrics["recall@2"], run.metrics["mrr@2"]) == (0.5, 1.0, 0.75)
    assert (run.test_cases, run.longest) == (2, 2)


def test_a_missing_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbedrecError, match="nowhere"):
        evaluate_run(tmp_path / "nowhere", None, (5,))
