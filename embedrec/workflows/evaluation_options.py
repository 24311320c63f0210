"""The options of an evaluation, which the commands and experiments share, and the evaluation of a model by its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from embedrec.config import check_bounds, check_seed
from embedrec.errors import SettingsError
from embedrec.evaluation.case_blocks import Compute, compute_here
from embedrec.evaluation.evaluate import Evaluation, EvaluationSettings, check_list_lengths
from embedrec.progress import Stage, quiet_stage
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.workflows.evaluate import (
    PROTOCOLS,
    EvaluationTask,
    Protocol,
    evaluate_task,
    load_labels,
    open_evaluation_task,
)
from embedrec.workflows.evaluated_models import EvaluatedModel, exact_metrics, model_to_evaluate, search_through_index
from embedrec.workflows.train import DEFAULTS, TrainingOptions

LIST_LENGTHS = (1, 5, 10, 20)
Ties = Literal["conservative", "standard", "median"]


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """How models are evaluated: options of `embedrec evaluate` and `compare`, keys of [ask] in an experiment.

    split, valid, protocol, given, seed  the test cases, see `open_evaluation_task`
    at       list lengths; None uses LIST_LENGTHS
    ties     rank of a target among items with equal scores
    seen     items of the history in the lists; None keeps them if training sessions repeat items
    unknown  targets that are not in the training part: count as misses, or drop
    draws    bootstrap resamples of the intervals; 0 for none
    labels   for "similar": see `load_labels`
    through  an index type for approximate search; None searches exactly
    """

    split: str | None = None
    valid: bool = False
    protocol: Protocol | None = None
    given: int | None = None
    at: tuple[int, ...] | None = None
    ties: Ties = "conservative"
    seen: Literal["keep", "remove"] | None = None
    unknown: Literal["miss", "drop"] = "miss"
    draws: int = 1000
    labels: str | None = None
    through: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_bounds(self, {"given": (1, 2**31), "draws": (0, 2**31)})
        if self.at is not None:
            EvaluationSettings(self.at)  # checks the lengths
        check_seed(self.seed)

    @property
    def list_lengths(self) -> tuple[int, ...]:
        return self.at or LIST_LENGTHS

    def open_task(self, source: Artifact) -> EvaluationTask:
        """The test cases of a sessions artifact, see `open_evaluation_task`."""
        return open_evaluation_task(
            source, split=self.split, valid=self.valid, protocol=self.protocol, given=self.given, seed=self.seed
        )

    def settings(self, task: EvaluationTask) -> EvaluationSettings:
        """The settings of an evaluation of the task. Raises SettingsError for lists longer than the catalogue."""
        keep = task.protocol != "similar" and task.has_repeats() if self.seen is None else self.seen == "keep"
        settings = EvaluationSettings(self.list_lengths, not keep, self.ties, self.unknown, self.draws, self.seed)
        check_list_lengths(settings, task.train)
        return settings


def task_messages(task: EvaluationTask) -> Iterator[str]:
    """The split, the leak check and the protocol of a task, for the user."""
    part = "validation" if task.part == "valid" else "test"
    yield f"split {task.rule}: {len(task.train):,} training sessions, {len(task.test):,} in the {part} part"
    for line in task.leak_check:
        yield f"leak check: {line}"
    yield f"protocol {task.protocol}: {PROTOCOLS[task.protocol]}; {len(task.test_cases):,} test cases"


def settings_message(task: EvaluationTask, settings: EvaluationSettings) -> str:
    """The settings of an evaluation, for the user."""
    seen = "removed" if settings.exclude_seen else "kept"
    unknown = "count as misses" if settings.unknown == "miss" else "dropped"
    return (
        f"all {len(task.train.vocab):,} items ranked; ties {settings.ties}; seen items {seen}; "
        f"unknown targets {unknown}"
    )


def evaluate_model(
    workspace: Workspace,
    name: str,
    task: EvaluationTask,
    settings: EvaluationSettings,
    options: EvaluationOptions,
    training: TrainingOptions = DEFAULTS,
    *,
    compute: Compute = compute_here,
    stage: Stage = quiet_stage,
) -> tuple[EvaluatedModel, Evaluation]:
    """Train the model of a name if necessary, and evaluate it.

    compute  where blocks of test cases are computed
    stage  of training, indexing and evaluation; "note" (message) with the model's origin, and the loss of an
           approximate index

    Raises SettingsError for labels with another protocol than "similar", and as the three steps do.
    """
    if options.labels is not None and task.protocol != "similar":
        raise SettingsError(f"--labels needs --protocol similar; the protocol is {task.protocol}")
    labels = None if options.labels is None else load_labels(task, options.labels)
    with stage(f"train {name}") as report:
        model = model_to_evaluate(workspace, name, task, training, report=report)
        known, catalogue = len(model.model.vocab), len(task.train.vocab)
        partial = f"; it contains {known:,} of {catalogue:,} items" if known < catalogue else ""
        report("note", message=f"model {name}: {model.origin}{partial}")
    if options.through is not None:
        with stage(f"index {name}") as report:
            model = search_through_index(model, options.through, task, seed=options.seed, report=report)
    with stage(f"evaluate {name}") as report:
        result = evaluate_task(task, model.model, settings, labels=labels, compute=compute, report=report)
        for key, exact in exact_metrics(model, task, settings, compute=compute, report=report).items():
            approximate = result.metrics[key]
            loss = f", a loss of {round(1 - approximate / exact, 4) or 0.0:.2%}" if exact else ""
            message = f"{key} of {name}: {approximate:.4f} through the index, {exact:.4f} exactly{loss}"
            report("note", message=message)
    return model, result
