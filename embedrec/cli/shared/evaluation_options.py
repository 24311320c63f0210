"""Options of the commands that evaluate models, and the steps of an evaluation with notes and progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from embedrec.cli.shared.artifacts import find_sessions
from embedrec.cli.shared.options import (
    combine_options,
    device_option,
    json_option,
    log_option,
    note,
    seed_option,
    threads_option,
    use_threads,
    workspace_option,
)
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.evaluation.evaluate import Evaluation, EvaluationSettings
    from embedrec.workflows.evaluate import EvaluationTask
    from embedrec.workflows.evaluated_models import EvaluatedModel

F = TypeVar("F", bound=Callable[..., Any])


def evaluation_options(command: F) -> F:
    """Options of the data, the split, the protocol and the metrics."""
    options = [
        click.option("--sessions", metavar="NAME", help="Sessions to split [default: the latest]."),
        click.option(
            "--split",
            metavar="RULE",
            help="Rule of the split, see `embedrec split --help` [default: the held-out part of the sessions, else "
            "time if events have times, else last-item].",
        ),
        click.option(
            "--valid", is_flag=True, help="Evaluate on a validation part of the training part, split by the same rule."
        ),
        click.option(
            "--protocol",
            type=click.Choice(["next", "last", "rest", "users", "similar"]),
            help="next: the next item after every prefix; last: the last item; rest: all after the first --given; "
            "users: all held-out items of a user; similar: co-occurring items of an item [default: by split].",
        ),
        click.option(
            "--given", type=click.IntRange(1), metavar="N", help="Number of first items given, for rest [default: 1]."
        ),
        click.option("--at", default="1,5,10,20", show_default=True, metavar="K,…", help="List lengths to evaluate."),
        click.option(
            "--ties",
            type=click.Choice(["conservative", "standard", "median"]),
            default="conservative",
            show_default=True,
            help="Rank of a target among items with equal scores: last, first, or in the middle.",
        ),
        click.option(
            "--seen",
            type=click.Choice(["keep", "remove"]),
            help="Items of the history in the lists [default: keep if training sessions repeat items].",
        ),
        click.option(
            "--unknown",
            type=click.Choice(["miss", "drop"]),
            default="miss",
            show_default=True,
            help="Targets that are not in the training part: count as misses, or drop.",
        ),
        click.option(
            "--draws",
            type=click.IntRange(0),
            default=1000,
            show_default=True,
            help="Bootstrap resamples for the 95% intervals; 0 for none.",
        ),
        click.option(
            "--labels",
            metavar="FEATURE|FILE",
            help="For similar: a list feature of the items, or a table of item (id or name) and list of labels.",
        ),
        click.option(
            "--by",
            type=click.Choice(["length", "popularity"]),
            help="Also print a table by history length or by target popularity.",
        ),
        click.option("--through", metavar="TYPE", help="Use an index of this type instead of exact search."),
        seed_option,
        threads_option,
        device_option,
        log_option,
        json_option,
        workspace_option,
    ]
    return combine_options(options)(command)


def open_task(
    workspace: Workspace,
    sessions: str | None,
    split: str | None,
    valid: bool,
    protocol: Any,
    given: int | None,
    seed: int,
) -> EvaluationTask:
    """The test cases that the options define; prints their split, leak check and protocol."""
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.workflows.evaluate import PROTOCOLS, open_evaluation_task

    source = find_sessions(workspace, sessions)
    with Progress("split"):
        task = open_evaluation_task(source, split=split, valid=valid, protocol=protocol, given=given, seed=seed)
    part = "validation" if task.part == "valid" else "test"
    note(f"split {task.rule}: {len(task.train):,} training sessions, {len(task.test):,} in the {part} part")
    for line in task.leak_check:
        note(f"leak check: {line}")
    note(f"protocol {task.protocol}: {PROTOCOLS[task.protocol]}; {len(task.test_cases):,} test cases")
    return task


def list_lengths(at: str) -> tuple[int, ...]:
    """Lengths of lists, as in "1,5,20". Raises BadParameter for other texts."""
    return positive_integers(at, "lengths of lists")


def positive_integers(text: str, what: str) -> tuple[int, ...]:
    """Distinct positive integers in ascending order, as in "1,5,20". Raises BadParameter for other texts."""
    try:
        numbers = tuple(int(number) for number in text.split(","))
    except ValueError:
        numbers = (0,)
    if min(numbers) < 1:
        raise click.BadParameter(f"{what} must be positive integers, such as 5,10,20, not {text!r}")
    return tuple(sorted(set(numbers)))


def evaluation_settings(
    task: EvaluationTask, at: tuple[int, ...], ties: Any, seen: str | None, unknown: Any, draws: int, seed: int
) -> EvaluationSettings:
    """The settings of an evaluation; prints them. Raises SettingsError for lists longer than the catalogue."""
    from embedrec.workflows.compare import resolve_settings

    settings = resolve_settings(task, at, ties, seen, unknown, draws, seed)
    seen_items = "removed" if settings.exclude_seen else "kept"
    note(
        f"all {len(task.train.vocab):,} items ranked; ties {ties}; seen items {seen_items}; "
        f"unknown targets {'count as misses' if unknown == 'miss' else 'dropped'}"
    )
    return settings


def evaluate_model(
    name: str,
    task: EvaluationTask,
    settings: EvaluationSettings,
    *,
    workspace: Workspace,
    config: Path | None,
    pairs: Sequence[str],
    labels: str | None,
    through: str | None,
    seed: int,
    threads: int,
    device: str,
) -> tuple[EvaluatedModel, Evaluation]:
    """Train the model if necessary and evaluate it; prints its origin and the loss of an approximate index."""
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.errors import SettingsError
    from embedrec.workflows.evaluate import evaluate_task, load_labels
    from embedrec.workflows.evaluated_models import exact_metrics, model_to_evaluate, search_through_index
    from embedrec.workflows.train import TrainingOptions

    if labels is not None and task.protocol != "similar":
        raise SettingsError(f"--labels needs --protocol similar; the protocol is {task.protocol}")
    use_threads(threads)
    table = None if labels is None else load_labels(task, labels)
    with Progress(f"train {name}") as report:
        model = model_to_evaluate(
            workspace, name, task, TrainingOptions(config, pairs, seed, threads, device), report=report
        )
    known, catalogue = len(model.model.vocab), len(task.train.vocab)
    note(
        f"model {name}: {model.origin}"
        + (f"; it contains {known:,} of {catalogue:,} items" if known < catalogue else "")
    )
    if through is not None:
        with Progress(f"index {name}") as report:
            model = search_through_index(model, through, task, seed=seed, report=report)
    with Progress(f"evaluate {name}") as report:
        result = evaluate_task(task, model.model, settings, labels=table, report=report)
        for key, exact in exact_metrics(model, task, settings, report=report).items():
            approximate = result.metrics[key]
            loss = f", a loss of {round(1 - approximate / exact, 4) or 0.0:.2%}" if exact else ""
            note(f"{key} of {name}: {approximate:.4f} through the index, {exact:.4f} exactly{loss}")
    return model, result
