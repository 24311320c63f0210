"""The options of an evaluation: its task, its settings, and the evaluation of a model by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import SettingsError
from embedrec.evaluation.evaluate import evaluate
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.workflows.evaluate import open_evaluation_task
from embedrec.workflows.evaluation_options import EvaluationOptions, evaluate_model, settings_message, task_messages
from embedrec.workflows.train import TrainingOptions
from tests.workflows.events import recorder


def test_a_task_is_that_of_the_options(source: Artifact) -> None:
    options = EvaluationOptions(split="random", protocol="rest", given=2, seed=5)
    task = options.open_task(source)
    same = open_evaluation_task(source, split="random", protocol="rest", given=2, seed=5)
    assert (task.rule, task.protocol, task.part) == ("random:share=0.1", "rest", "test")
    assert (task.test_cases.targets == same.test_cases.targets).all()
    assert EvaluationOptions(split="tail", valid=True).open_task(source).part == "valid"


def test_settings_are_those_of_the_options(split_source: Artifact) -> None:
    task = EvaluationOptions().open_task(split_source)
    settings = EvaluationOptions(at=(2,), ties="median", seen="remove", unknown="drop", draws=10, seed=3).settings(task)
    assert (settings.at, settings.ties, settings.exclude_seen, settings.unknown) == ((2,), "median", True, "drop")
    assert (settings.draws, settings.seed) == (10, 3)
    assert EvaluationOptions().settings(task).at == (1, 5, 10, 20)
    assert EvaluationOptions(seen="keep").settings(task).exclude_seen is False
    assert EvaluationOptions().settings(task).exclude_seen is not task.has_repeats()
    with pytest.raises(SettingsError, match=r"^lists of 1000 are longer than the catalogue of "):
        EvaluationOptions(at=(1000,)).settings(task)


def test_seen_items_of_similar_items_are_removed(split_source: Artifact) -> None:
    options = EvaluationOptions(protocol="similar")
    assert options.settings(options.open_task(split_source)).exclude_seen


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"draws": -1}, "draws must be at least 0, but is -1"),
        ({"given": 0}, "given must be at least 1, but is 0"),
        ({"at": (5, 0)}, "list lengths must be at least 1, but are (5, 0)"),
        ({"seed": -1}, "seed must be a whole number from 0 to 9223372036854775807, but is -1"),
    ],
)
def test_values_out_of_bounds_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        EvaluationOptions(**values)
    assert str(error.value) == message


def test_a_task_is_described_in_messages(split_source: Artifact) -> None:
    task = EvaluationOptions().open_task(split_source)
    first, *leaks, last = task_messages(task)
    assert first == f"split {task.rule}: {len(task.train):,} training sessions, {len(task.test):,} in the test part"
    assert leaks == [f"leak check: {line}" for line in task.leak_check]
    assert last.startswith("protocol next: the next item after every prefix") and last.endswith(" test cases")
    settings = EvaluationOptions(seen="remove", unknown="drop").settings(task)
    assert settings_message(task, settings) == (
        f"all {len(task.train.vocab):,} items ranked; ties conservative; seen items removed; unknown targets dropped"
    )


def test_a_model_is_trained_and_evaluated(root: Path, split_source: Artifact) -> None:
    options = EvaluationOptions(at=(1, 5), draws=0)
    task = options.open_task(split_source)
    settings = options.settings(task)
    events, stage = recorder()
    model, result = evaluate_model(Workspace(root), "popular", task, settings, options, stage=stage)
    assert [title for title, _, _ in events] == ["train popular"]
    assert events[0][1:] == ("note", {"message": "model popular: trained now on the training part"})
    assert (model.name, model.exact) == ("popular", None)
    same = evaluate(model.model, task.test_cases, task.train, settings)
    assert result.metrics == pytest.approx(same.metrics, nan_ok=True)


def test_the_loss_of_an_approximate_index_is_reported(root: Path, split_source: Artifact) -> None:
    options = EvaluationOptions(at=(5,), draws=0, through="flat")
    task = options.open_task(split_source)
    events, stage = recorder()
    training = TrainingOptions(pairs=["epochs=1", "dim=4", "min_count=1"])
    model, result = evaluate_model(
        Workspace(root), "word2vec", task, options.settings(task), options, training, stage=stage
    )
    assert model.origin == "trained now on the training part; through Flat"
    notes = [values["message"] for title, event, values in events if event == "note"]
    recall = f"{result.metrics['recall@5']:.4f}"
    assert notes[1] == f"recall@5 of word2vec: {recall} through the index, {recall} exactly, a loss of 0.00%"
    assert len(notes) == 3 and notes[2].startswith("mrr@5 of word2vec: ")


def test_labels_need_the_protocol_similar(root: Path, split_source: Artifact) -> None:
    options = EvaluationOptions(at=(1,), labels="genres")
    task = options.open_task(split_source)
    with pytest.raises(SettingsError) as error:
        evaluate_model(Workspace(root), "popular", task, options.settings(task), options)
    assert str(error.value) == "--labels needs --protocol similar; the protocol is next"
