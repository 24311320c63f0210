"""Run records, by which a run knows what to skip."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import embedrec
from embedrec.experiments.run_records import Key, begin, end, forget, read_outputs, reason_to_run, record_file
from embedrec.experiments.runner import run_experiment
from embedrec.experiments.step import StepContext
from embedrec.progress import Report, quiet
from embedrec.storage.workspace import Workspace
from tests.experiments.conftest import LIGHT, Finished, Opened, planned_steps, steps_run

CHANGES = [
    ("share = 0.2", "share = 0.3", "split", "settings changed: settings.share"),
    ("dim = 8", "dim = 9", "train vectors", "settings changed: grid"),
    ('type = "flat"', 'type = "flat"\nmetric = "dot"', "index vectors-flat", "settings changed: metric"),
    ("n = 5", "n = 6", "export similar.txt", "settings changed: n"),
    ("draws = 20", "draws = 30", "compare", "settings changed: ask.draws"),
    ("Nothing is like it", "Something is", "tables", "settings changed: tables"),
]


@pytest.mark.parametrize(("old", "new", "step", "reason"), CHANGES, ids=[c[2] for c in CHANGES])
def test_a_changed_setting_runs_the_step_again(
    open_experiment: Opened, finished: Finished, old: str, new: str, step: str, reason: str
) -> None:
    _, context = finished
    changed, _ = open_experiment(LIGHT.replace(old, new))
    planned = planned_steps(changed, context)
    assert planned[step] == f"run: {reason}"
    ran = steps_run(changed, context)
    assert step in ran and set(ran) <= set(planned)
    assert planned_steps(changed, context) == {}


def test_equal_settings_in_another_notation_are_no_change(open_experiment: Opened, finished: Finished) -> None:
    _, context = finished
    equal, _ = open_experiment(LIGHT.replace("dim = 8, epochs = 2", 'epochs = "2", dim = 8, negative = 5'))
    assert planned_steps(equal, context) == {}


def test_missing_damaged_and_replaced_outputs_are_made_again(finished: Finished) -> None:
    experiment, context = finished
    root = context.workspace.root
    shutil.rmtree(root / "models" / "popular")
    (root / "indexes" / "vectors-flat" / "index.faiss").write_bytes(b"")
    shutil.rmtree(root / "models" / "cooccurrence")
    shutil.copytree(root / "models" / "vectors", root / "models" / "cooccurrence")
    assert planned_steps(experiment, context) == {
        "train popular": f"run: {root}/models/popular is missing or damaged",
        "train cooccurrence": f"run: {root}/models/cooccurrence was replaced",
        "index vectors-flat": f"run: {root}/indexes/vectors-flat is missing or damaged",
        "compare": "may run: after train popular",
        "export similar.txt": "may run: after train cooccurrence",
        "tables": "may run: after compare",
    }
    assert steps_run(experiment, context) == ["train popular", "train cooccurrence", "index vectors-flat"]
    (root / "similar.txt").write_text("mine\n")
    assert planned_steps(experiment, context) == {"export similar.txt": f"run: {root}/similar.txt was replaced"}


def test_outputs_of_another_version_are_made_again(finished: Finished) -> None:
    experiment, context = finished
    for step in experiment.steps:
        file = record_file(step, context)
        record = json.loads(file.read_text())
        record["key"]["version"] = "0.0.1"
        file.write_text(json.dumps(record))
    assert set(planned_steps(experiment, context).values()) == {"run: made by version 0.0.1"}


def test_settings_without_an_effect_on_arrays_are_changes(open_experiment: Opened) -> None:
    """The arrays of a session-kNN model do not depend on its number of neighbours."""
    text = LIGHT.replace('model = "popular"\n', 'model = "sknn"\nset = {neighbours = 5}\nname = "popular"\n', 1)
    experiment, context = open_experiment(text)
    run_experiment(experiment, context)
    changed, _ = open_experiment(text.replace("neighbours = 5", "neighbours = 50"))
    assert steps_run(changed, context) == ["train popular", "compare", "tables"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"done": true}', '{"done": true, "key": 3}', "\xff"])
def test_a_step_with_a_damaged_record_runs_again(finished: Finished, content: str) -> None:
    experiment, context = finished
    record_file(experiment.steps[2], context).write_text(content, encoding="latin-1")
    assert planned_steps(experiment, context)["train popular"] == "run: never done"


@dataclass
class FileStep:
    """A step that writes a file."""

    id: str = "write a/b"
    after: tuple[str, ...] = ()
    output: str = "out.txt"
    text: str = "a"
    inputs: dict[str, str] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        return {"set": {"text": self.text}, "pair": (1, 2)}

    def files(self) -> dict[str, str]:
        return self.inputs

    def path(self, context: StepContext) -> Path:
        return context.folder / self.output

    def run(self, context: StepContext, report: Report) -> None:
        self.path(context).write_text(self.text)


@pytest.fixture
def folder_context(tmp_path: Path) -> StepContext:
    return StepContext(Workspace(tmp_path), tmp_path)


def test_a_record_contains_key_output_and_seconds(folder_context: StepContext) -> None:
    step = FileStep(after=("split",), inputs={"in.csv": "f1"})
    key = Key.of(step, {"split": "s1", "other": "o1"})
    assert key.json() == {
        "version": embedrec.__version__,
        "settings": {"set": {"text": "a"}, "pair": [1, 2]},
        "inputs": {"in.csv": "f1", "split": "s1"},
    }
    assert reason_to_run(step, key, folder_context) == "never done"
    assert not begin(step, key, folder_context)
    assert reason_to_run(step, key, folder_context) == "was interrupted"
    step.run(folder_context, quiet)
    end(step, key, folder_context, 1.23456)
    assert reason_to_run(step, key, folder_context) is None
    record = json.loads(record_file(step, folder_context).read_text())
    output = read_outputs((step,), folder_context)[step.id]
    assert record == {"key": key.json(), "done": True, "output": output, "seconds": 1.235}


def test_changes_of_inputs_settings_and_outputs_are_reasons_to_run(folder_context: StepContext) -> None:
    step = FileStep(after=("split",), inputs={"in.csv": "f1"})
    step.run(folder_context, quiet)
    end(step, Key.of(step, {"split": "s1"}), folder_context, 0)

    def reason(inputs: dict[str, str], split: str, text: str) -> str | None:
        changed = FileStep(after=("split",), inputs=inputs, text=text)
        return reason_to_run(changed, Key.of(changed, {"split": split}), folder_context)

    assert reason({"in.csv": "f1"}, "s1", "a") is None
    assert reason({"in.csv": "f1"}, "s1", "b") == "settings changed: set.text"
    assert reason({"in.csv": "f2"}, "s2", "a") == "input changed: in.csv, split"
    assert reason({}, "s1", "a") == "input changed: in.csv"
    path = step.path(folder_context)
    path.write_text("other")
    assert reason({"in.csv": "f1"}, "s1", "a") == f"{path} was replaced"
    path.unlink()
    assert reason({"in.csv": "f1"}, "s1", "a") == f"{path} is missing or damaged"


def test_an_interrupted_step_resumes_with_the_same_key_only(folder_context: StepContext) -> None:
    step = FileStep()
    key, other = Key.of(step, {}), Key.of(FileStep(text="b"), {})
    assert not begin(step, key, folder_context)
    assert begin(step, key, folder_context)
    assert reason_to_run(step, other, folder_context) == "was interrupted, and its inputs changed"
    assert not begin(step, other, folder_context)


def test_records_of_interrupted_steps_are_kept(folder_context: StepContext) -> None:
    steps = [FileStep("one", output="1"), FileStep("two", output="2"), FileStep("three", output="3")]
    for step in steps[:2]:
        begin(step, Key.of(step, {}), folder_context)
    steps[0].run(folder_context, quiet)
    end(steps[0], Key.of(steps[0], {}), folder_context, 0)
    forget(steps, folder_context)
    assert [record_file(step, folder_context).exists() for step in steps] == [False, True, False]


def test_different_ids_have_different_records(folder_context: StepContext) -> None:
    files = {record_file(FileStep(id_), folder_context) for id_ in ("write a/b", "write a:b", "write a b")}
    assert len(files) == 3 and {file.parent for file in files} == {folder_context.folder / "steps"}
