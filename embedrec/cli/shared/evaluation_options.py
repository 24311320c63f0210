"""Options of the commands that evaluate models, and their notes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
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
    workspace_option,
)
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.evaluation.evaluate import EvaluationSettings
    from embedrec.workflows.evaluate import EvaluationTask
    from embedrec.workflows.evaluation_options import EvaluationOptions

F = TypeVar("F", bound=Callable[..., Any])


def evaluation_options(command: F) -> F:
    """Options of an evaluation, passed on as `evaluation`, an EvaluationOptions, `training`, a TrainingOptions, and
    `sessions`, `by`, `as_json` and `workspace`."""

    @wraps(command)
    def parse(**given: Any) -> Any:
        from embedrec.workflows.evaluation_options import EvaluationOptions
        from embedrec.workflows.train import TrainingOptions

        values = {f.name: given.pop(f.name) for f in fields(EvaluationOptions)}
        values["at"] = list_lengths(values["at"])
        training = TrainingOptions(seed=values["seed"], threads=given.pop("threads"), device=given.pop("device"))
        return command(evaluation=EvaluationOptions(**values), training=training, **given)

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
    return combine_options(options)(parse)  # type: ignore[return-value]


def open_task(
    workspace: Workspace, sessions: str | None, options: EvaluationOptions
) -> tuple[EvaluationTask, EvaluationSettings]:
    """The test cases and the settings of an evaluation; prints the split, the leak check, the protocol and settings."""
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.workflows.evaluation_options import settings_message, task_messages

    source = find_sessions(workspace, sessions)
    with Progress("split"):
        task = options.open_task(source)
    for message in task_messages(task):
        note(message)
    settings = options.settings(task)
    note(settings_message(task, settings))
    return task, settings


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
