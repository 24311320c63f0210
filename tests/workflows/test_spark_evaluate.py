"""Evaluations on Spark equal those of one machine in every number, list and rank."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from embedrec.evaluation import case_blocks, item_similarity
from embedrec.evaluation.case_blocks import compute_here
from embedrec.evaluation.evaluate import Evaluation
from embedrec.spark.session import SparkSettings
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.workflows.evaluation_options import EvaluationOptions, evaluate_model
from embedrec.workflows.spark_evaluate import computing_on_spark
from embedrec.workflows.train import TrainingOptions
from tests.workflows.events import recorder

pytestmark = pytest.mark.spark


def assert_same(one: Evaluation, other: Evaluation) -> None:
    for name in ("lists", "scores", "ranks", "resampled"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.aggregate == other.aggregate and list(one.values) == list(other.values)
    for name, column in one.values.items():
        np.testing.assert_array_equal(column, other.values[name])


CASES: list[tuple[str, dict[str, Any]]] = [
    ("cooccurrence", {}),
    ("vstan", {"protocol": "last", "ties": "median"}),  # reads the times of histories
    ("svd", {"protocol": "similar"}),
    ("svd", {"through": "flat", "unknown": "drop"}),
]


@pytest.mark.parametrize(("name", "given"), CASES)
def test_numbers_are_those_of_one_machine(
    spark: Any, split_source: Artifact, monkeypatch: pytest.MonkeyPatch, name: str, given: dict[str, Any]
) -> None:
    monkeypatch.setattr(case_blocks, "BLOCK_CASES", 20)
    monkeypatch.setattr(item_similarity, "BLOCK_ITEMS", 11)
    workspace = Workspace(split_source.folder.parents[1])
    options = EvaluationOptions(at=(1, 5), draws=20, **given)
    task = options.open_task(split_source)
    settings = options.settings(task)
    training = TrainingOptions(pairs=["dim=4"] if name == "svd" else [])
    done = []
    for spark_settings in (None, SparkSettings()):
        events, stage = recorder()
        with (
            nullcontext(compute_here)
            if spark_settings is None
            else computing_on_spark(workspace, task.protocol, spark_settings) as compute
        ):
            _, result = evaluate_model(workspace, name, task, settings, options, training, compute=compute, stage=stage)
        done.append((result, events))
    assert_same(done[0][0], done[1][0])
    assert done[0][1] == done[1][1]  # also the notes on exact search
    assert not [path for path in workspace.root.iterdir() if path.name.startswith(".")]  # no parts are left
