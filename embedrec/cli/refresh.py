"""`embedrec refresh`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from embedrec.cli.shared.gate_options import gate_options
from embedrec.cli.shared.options import (
    TARGET_NOT_MET,
    device_option,
    emit,
    json_option,
    log_option,
    note,
    seed_option,
    threads_option,
    use_threads,
    workspace_option,
)
from embedrec.storage.workspace import Workspace

_GATE = {"min_overlap": 0.6, "max_recall_drop": 0.01, "max_metric_drop": 0.02}  # the defaults of `Gate`


@click.command(short_help="Add new events, and renew the models and indexes.")
@click.argument("paths", nargs=-1, required=True, metavar="NEW_FILES...")
@click.option("--into", metavar="NAME", help="Sessions to add the events to [default: the newest prepared ones].")
@click.option(
    "--keep-days",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="Drop events more than N days before the last one.",
)
@click.option(
    "--align/--no-align",
    default=True,
    show_default=True,
    help="Rotate new vectors into the space of the old ones.",
)
@click.option(
    "--frozen",
    is_flag=True,
    default=False,
    help="Keep the vectors of old items byte by byte, and solve only new ones; models that cannot are aligned.",
)
@click.option(
    "--validate/--no-validate",
    default=True,
    show_default=True,
    help="Measure the models on the newest of the new sessions; trains each a second time, without these.",
)
@click.option(
    "--gate/--no-gate", default=True, show_default=True, help="Refuse new versions that do not meet a threshold."
)
@gate_options(**_GATE)
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="TOML file with these options in [refresh]."
)
@click.option(
    "--publish",
    "publishes",
    multiple=True,
    metavar="'TARGET …'",
    help="Afterwards, publish: arguments of `embedrec publish`, such as 'redis redis://cache/0 -n 50'; repeatable.",
)
@click.option(
    "--wait/--no-wait", default=True, show_default=True, help="Wait for another refresh of the workspace, or fail."
)
@seed_option
@log_option
@threads_option
@device_option
@json_option
@workspace_option
def refresh(
    paths: tuple[str, ...],
    into: str | None,
    config: Path | None,
    publishes: tuple[str, ...],
    wait: bool,
    threads: int,
    device: str,
    as_json: bool,
    workspace: Workspace,
    **_: Any,
) -> None:
    """Add the events of NEW_FILES to the sessions, and renew every model of these and every index of the models.

    Events are read and filtered as by the first `embedrec prepare`. Models continue from their current versions,
    vectors are rotated into the space of the old ones, indexes are updated, and all is measured. If a threshold is not
    met, nothing changes, the exit code is 3, and the new versions are kept aside. Otherwise all new versions take the
    place of the old ones in one step; the old ones are kept.

    \b
    embedrec refresh clicks-2026-11-29.csv
    embedrec refresh logs/today/*.jsonl --into clicks --keep-days 90
    embedrec refresh clicks-2026-11-29.csv --min-overlap .7 --max-metric-drop .01
    embedrec refresh clicks-2026-11-29.csv --publish 'redis redis://cache:6379/0 -n 50'

    Killed at any moment, it leaves the old versions or the new ones; with the same files, it resumes. Columns: step,
    name, seconds, numbers.
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.workflows.refresh.run import refresh as refresh_all
    from embedrec.workflows.refresh.settings import refresh_settings
    from embedrec.workflows.refresh.steps import Computing

    context = click.get_current_context()
    settings = refresh_settings(
        config,
        {
            name: value
            for name, value in context.params.items()
            if context.get_parameter_source(name) is not ParameterSource.DEFAULT
        },
    )
    commands = [_publish_command(context, words, workspace, as_json) for words in publishes]
    use_threads(threads)
    computing = Computing(threads, device)
    result = refresh_all(workspace, paths, settings, into=into, computing=computing, wait=wait, stage=Progress)
    emit([_row(step, as_json) for step in result.steps], as_json)
    if result.refused:
        note(
            f"embedrec: nothing is changed: {'; '.join(result.refused)}; the new versions are kept in "
            f"{result.staging}, and the same command with other thresholds or --no-gate accepts them"
        )
        raise click.exceptions.Exit(TARGET_NOT_MET)
    if not result.switched:
        note(f"{', '.join(paths)}: no new events for sessions {result.sessions}; nothing is changed")
    for command in commands:
        with command:
            command.command.invoke(command)


def _publish_command(context: click.Context, words: str, workspace: Workspace, as_json: bool) -> click.Context:
    """The command `embedrec publish` with these arguments, ready to run; usage errors are raised now.

    Raises UsageError for arguments that publish nothing.
    """
    from embedrec.cli.publish import publish

    try:
        arguments = shlex.split(words)
    except ValueError as e:
        raise click.UsageError(f"--publish takes the arguments of `embedrec publish`, but {words!r} has {e}") from None
    group = click.Context(publish, info_name="publish", parent=context.parent)
    name, command, rest = publish.resolve_command(group, arguments or [""])
    assert command is not None  # resolve_command raises for an unknown target
    more: Sequence[str] = ["--workspace", str(workspace.root), *["--json"] * as_json]
    made = command.make_context(name, [*rest, *more], parent=group)
    for option in ("listing", "rollback", "dry_run"):
        if made.params.get(option):
            raise click.UsageError(
                f"--publish {words!r} would publish nothing; leave --list, --rollback, --dry-run out"
            )
    return made


def _row(step: Any, as_json: bool) -> dict[str, Any]:
    head = {"step": step.step, "name": step.name, "seconds": step.seconds}
    if as_json:
        return {**head, **step.numbers}
    return {**head, "numbers": ", ".join(f"{name} {_text(value)}" for name, value in step.numbers.items())}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " → ".join(map(_text, value))
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}" if isinstance(value, float) else str(value)
