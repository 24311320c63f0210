"""Common options of the commands of `embedrec prepare`, and the step itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click

from embedrec.cli.shared.artifacts import note_outdated
from embedrec.cli.shared.engine_options import engine_options, refuse_on_spark, spark_settings
from embedrec.cli.shared.options import (
    combine_options,
    emit,
    json_option,
    log_option,
    note,
    threads_option,
    workspace_option,
)
from embedrec.storage.workspace import Workspace

F = TypeVar("F", bound=Callable[..., Any])


def shared(duplicates: str = "none", duplicates_at: str = "start") -> Callable[[F], F]:
    """Paths and the options of every source, filters in order of application; the defaults of two of them."""
    options = [
        click.argument("paths", nargs=-1, required=True, metavar="PATH..."),
        click.option(
            "--by",
            type=click.Choice(["session", "user"]),
            default="session",
            show_default=True,
            help="Definition of a session: as in the data, or all events of a user.",
        ),
        click.option("--gap", metavar="TIME", help="Split sessions at gaps longer than this: 90s, 30min, 2h, 1d."),
        click.option("--kinds", multiple=True, metavar="KIND", help="Keep events of this kind; repeatable."),
        click.option("--min-rating", type=float, help="Drop events with a smaller weight."),
        click.option("--days", type=float, help="Keep events of the last DAYS days of the data.", metavar="DAYS"),
        click.option(
            "--min-tracks", type=click.IntRange(1), help="Drop sessions with fewer events, before other filters."
        ),
        click.option(
            "--duplicates",
            type=click.Choice(["none", "consecutive", "all"]),
            default=duplicates,
            show_default=True,
            help="Drop repeated items of a session, except the first: consecutive repeats, or all.",
        ),
        click.option(
            "--duplicates-at",
            type=click.Choice(["start", "end"]),
            default=duplicates_at,
            show_default=True,
            help="Drop repeated items before the filters below, or after all filters.",
        ),
        click.option("--top", type=click.IntRange(1), help="Keep the N most frequent items.", metavar="N"),
        click.option("--min-count", type=click.IntRange(1), help="Drop items with fewer events."),
        click.option(
            "--min-length",
            type=click.IntRange(1),
            default=2,
            show_default=True,
            help="Drop sessions with fewer remaining events.",
        ),
        click.option("--max-length", type=click.IntRange(1), help="Drop or cut sessions with more remaining events."),
        click.option(
            "--long",
            type=click.Choice(["drop", "cut"]),
            default="drop",
            show_default=True,
            help="Drop sessions longer than --max-length, or keep their last events.",
        ),
        click.option(
            "--rounds",
            type=click.IntRange(1),
            help="Rounds of --min-count, --min-length and --max-length [default: until nothing changes].",
        ),
        click.option(
            "--on-bad-row",
            type=click.Choice(["fail", "skip"]),
            default="fail",
            show_default=True,
            help="Fail on an invalid row, or skip and count it.",
        ),
        click.option(
            "--memory",
            metavar="SIZE",
            help="Memory limit (512M, 2G), beyond which events are written to disk; distinct ids must fit "
            "[default: no limit].",
        ),
        click.option("--name", metavar="NAME", help="Name of the sessions [default: from the source]."),
        click.option(
            "--append",
            metavar="NAME",
            help="Add the events to these sessions, without reading their files again; the settings of their first "
            "prepare apply.",
        ),
        click.option(
            "--keep-days",
            type=click.FloatRange(0, min_open=True),
            metavar="DAYS",
            help="With --append: drop events more than DAYS days before the last one, for good.",
        ),
        engine_options,
        log_option,
        json_option,
        threads_option,
        workspace_option,
    ]
    return combine_options(options)


def features_option(role: str) -> Callable[[F], F]:
    """--item-features or --user-features."""
    return click.option(
        f"--{role}-features",
        default="",
        metavar="FILE",
        help=f"Table of {role} features: .csv, .tsv, .parquet, .jsonl, with a column of {role} ids.",
    )


def feature_types_option(command: F) -> F:
    """--feature-type: overrides the guessed type of a feature column."""
    return click.option(
        "--feature-type",
        "feature_types",
        multiple=True,
        callback=_feature_types,
        metavar="NAME=TYPE",
        help="Type of a feature: number, text, list or date; repeatable [default: guessed; ids and codes are text].",
    )(command)


def _feature_types(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    from embedrec.tabular.feature_columns import KINDS

    types = {}
    for value in values:
        name, equals, kind = value.rpartition("=")
        if not equals or kind not in KINDS:
            raise click.BadParameter(f"{value!r} is not NAME=TYPE, where TYPE is one of {', '.join(KINDS)}")
        types[name] = kind
    return types


def column_options(**columns: str) -> Callable[[F], F]:
    """Options that name columns of tables: option → help."""
    return combine_options([click.option(f"--{name}", metavar="COLUMN", help=help_) for name, help_ in columns.items()])


format_option = click.option(
    "--format",
    type=click.Choice(["auto", "csv", "tsv", "parquet", "jsonl"]),
    default="auto",
    show_default=True,
    help="Format of the files; auto chooses by suffix.",
)


VALUES = ("time_unit", "time_format", "id_type", "missing")  # settings of the options below
value_options = combine_options(
    [
        click.option(
            "--time-unit",
            type=click.Choice(["auto", "s", "ms", "iso"]),
            default="auto",
            show_default=True,
            help="Unit of the time column.",
        ),
        click.option(
            "--time-format",
            default="",
            metavar="FORM",
            help="Format of times, such as '%d.%m.%Y %H:%M' (strptime directives), instead of --time-unit.",
        ),
        click.option(
            "--id-type",
            type=click.Choice(["auto", "text", "number"]),
            default="auto",
            show_default=True,
            help="Ids are text or integers; auto chooses integers if all ids are integers.",
        ),
        click.option(
            "--missing",
            multiple=True,
            metavar="TEXT",
            help="Text that means a missing value, also in ids, such as NA; repeatable. In times and numbers NA, NULL, "
            "\\N and None always do.",
        ),
    ]
)


def prepare_from(
    source: str, settings: dict[str, Any], name: str | None, *, test: str | None = None, **given: Any
) -> None:
    """Read files with the reader `source` and write the sessions `name`; `given` are the shared options.

    name  None uses `default_name`
    test  file of the held-out part, for readers that read one
    """
    from dataclasses import fields

    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.config import build
    from embedrec.data.filters import Filters
    from embedrec.data.prepared import Rules
    from embedrec.data.regroup import Regroup
    from embedrec.readers import BadRows, reader
    from embedrec.storage.memory_budget import budget_of
    from embedrec.tabular.read_settings import ReadSettings
    from embedrec.workflows.prepare import default_name, prepare_on_spark, prepare_sessions

    spark = spark_settings(given["engine"], given["master"], given["spark_conf"])
    refuse_on_spark(given["engine"], append=given["append"], test=test, memory=given["memory"])
    given["kinds"] = given["kinds"] or None
    if given["append"] is not None:
        if name is not None or test is not None:
            raise click.UsageError(f"--append cannot be combined with {'--name' if name is not None else '--test'}")
        from embedrec.cli.shared.append_options import append_from

        append_from(source, settings, given["append"], given)
        return
    if given["keep_days"] is not None:
        raise click.UsageError("--keep-days needs --append; --days filters the events of a new prepare")
    workspace: Workspace = given["workspace"]
    filters = Filters(**{f.name: given[f.name] for f in fields(Filters)})
    regroup = Regroup(given["by"], given["gap"])
    read: Any = build(reader(source), settings, source="the options")
    folder = workspace.folder("sessions", name or default_name(source, read, given["paths"]))
    bad_rows = BadRows(given["on_bad_row"])
    with Progress("prepare") as report:
        memory = budget_of(given["memory"], folder.parent)
        reading = ReadSettings(bad_rows, given["threads"], memory, report)
        files = (source, read, given["paths"], folder)
        if spark is None:
            done = prepare_sessions(*files, filters, reading, regroup=regroup, test=test)
        else:
            done = prepare_on_spark(spark, Rules(filters, regroup), *files, reading)
    about = done.about
    for line in (*bad_rows.lines(), *bad_rows.notes):
        note(line)
    for line in _filter_notes(about):
        note(line)
    if test is not None:
        note(
            f"--test {test}: {about['test_sessions']:,} sessions, {about['test_events']:,} events, "
            f"{about['questions']:,} test cases"
        )
        for line in about["split"]["checked"]:
            note(f"leak check: {line}")
    note(f"wrote sessions {done.name} ({done.folder})")
    note_outdated(workspace, done)
    emit(
        [{"sessions": about["sessions"], "items": about["items"], "events": about["events"]}],
        given["as_json"],
    )


def _filter_notes(about: dict[str, Any]) -> Iterator[str]:
    """Notes on the effect of regrouping and filters."""
    regrouped, sessions = about["regrouped"], about["read"]["sessions"]
    options = [f"--by {regrouped['by']}"] * (regrouped["by"] != "session")
    options += [f"--gap {regrouped['gap']}"] * (regrouped["gap"] is not None)
    if options:
        yield f"{' '.join(options)} regrouped {sessions:,} sessions into {regrouped['sessions']:,}"
    repeated = [step["filter"] for step in about["removed"] if step["rounds"] > 1]
    for step in about["removed"]:
        rounds = f" in {step['rounds']} rounds" if step["rounds"] > 1 else ""
        yield (
            f"--{step['filter'].replace('_', '-')} {step['setting']} removed {step['sessions']:,} sessions, "
            f"{step['items']:,} items, {step['events']:,} events{rounds}"
        )
        if "note" in step:
            yield step["note"]
        if step["filter"] in repeated[-1:]:
            end = "stopped" if step["rounds"] == about["filters"]["rounds"] else "stable"
            yield f"{end} after {step['rounds']} rounds"
