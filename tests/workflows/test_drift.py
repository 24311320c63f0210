"""Drift between artifacts: models with and without item neighbours, indexes, and recall on new sessions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from embedrec.data import Sessions
from embedrec.errors import ArtifactError, SettingsError
from embedrec.evaluation.evaluate import EvaluationSettings, evaluate
from embedrec.models.baselines.popular import Popular
from embedrec.models.session_knn.variants import SKNN
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.test_cases import next_items
from embedrec.storage.workspace import Workspace
from embedrec.workflows.drift import (
    DriftSettings,
    drift_record,
    find_versions,
    measure_drift,
    model_drift,
    newest_sessions,
    with_metric,
)
from embedrec.workflows.train import train_model
from tests.conftest import of_lists

NAMES = "abcde"


def test_models_and_indexes_are_found_by_name(plays: Workspace) -> None:
    assert [a.kind for a in find_versions(plays, "flat", "flat")] == ["index", "index"]
    assert [a.name for a in find_versions(plays, "sknn", "vectors")] == ["sknn", "vectors"]
    with pytest.raises(SettingsError, match="flat is an index, but sknn is a model; compare two of one kind"):
        find_versions(plays, "flat", "sknn")
    with pytest.raises(ArtifactError, match=r"no model or index is called 'sknm' in .*; did you mean 'sknn'"):
        find_versions(plays, "sknn", "sknm")


def test_an_index_is_compared_with_its_recall(plays: Workspace) -> None:
    index = plays.find("index", "flat")
    drift = measure_drift(plays, index, index, DriftSettings(k=2))
    assert (drift.overlap, drift.recall, drift.recall_name) == (1, (1.0, 1.0), "recall@20")
    assert len(drift.cosines) == 4
    record = drift_record(drift, "flat", "flat")
    assert record["recall@20 of the index"] == [1.0, 1.0] and record["worst"] == []
    with pytest.raises(SettingsError, match="sessions measure models, not indexes; name two models"):
        measure_drift(plays, index, index, on=plays.find("sessions", "plays"))


def test_recommendations_are_compared_without_item_neighbours(plays: Workspace) -> None:
    source = plays.find("sessions", "plays")
    for name, recipe in (("popular", Popular()), ("other", SKNN(neighbours=1))):
        train_model(recipe, source, plays.folder("model", name))
    old, new = plays.find("model", "popular"), plays.find("model", "other")
    with pytest.raises(SettingsError, match=r"model other \(sknn\) has no item neighbours to compare; name sessions"):
        measure_drift(plays, old, new)
    of_lists(["abc", "bcd", "dca"]).save(plays.folder("sessions", "later"), {})
    drift = measure_drift(plays, old, new, DriftSettings(k=2), on=plays.find("sessions", "later"))
    assert drift.compared == 3 and drift.metric is not None and drift.metric_name == "recall@2"
    with pytest.raises(SettingsError, match="model popular was trained on the sessions plays, which therefore measure"):
        measure_drift(plays, old, new, on=source)


def test_the_metric_is_that_of_an_evaluation_of_both_models() -> None:
    train = of_lists(["abc", "abd", "bcd", "ab", "cde"])
    test = HeldOut(of_lists(["abc", "dcb", "ea"]), np.array([0, 0, 0]))
    models = Popular().fit(train), SKNN().fit(train)
    artifact = None
    drift = model_drift((artifact, artifact), models, DriftSettings(k=2), sessions=test.sessions)  # type: ignore[arg-type]
    drift = with_metric(drift, models, test, train, DriftSettings(k=2))
    settings = EvaluationSettings((2,), exclude_seen=True)
    values = [evaluate(model, next_items(test), train, settings) for model in models]
    assert drift.metric == tuple(value.metrics["recall@2"] for value in values)
    difference = values[1].metrics["recall@2"] - values[0].metrics["recall@2"]
    assert drift.metric_gap is not None and drift.metric_gap[0] <= difference <= drift.metric_gap[1]
    few = with_metric(drift, models, test, train, DriftSettings(k=2, cases=3))
    assert few.metric is not None and all(0 <= value <= 1 for value in few.metric)


def test_the_newest_sessions_are_those_that_ended_last() -> None:
    sessions = of_lists(["ab", "c", "ad", "b"])
    times = np.array([1, 9, 3, 2, 8, 7], dtype=np.int64)
    timed = replace(sessions, times=times)
    assert newest_sessions(timed, 2).ids.tolist() == [0, 2]
    assert newest_sessions(sessions, 2).ids.tolist() == [2, 3]
    empty = Sessions.of_lists([])
    assert len(newest_sessions(empty, 2)) == 0
