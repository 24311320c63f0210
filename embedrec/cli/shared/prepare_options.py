"""What all commands of `embedrec prepare` share: their options, and the step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from embedrec.cli.shared.artifacts import tell_outdated
from embedrec.cli.shared.options import emit, json_option, log_option, note, threads_option, together, workspace_option
from embedrec.storage.artifacts import plain_from
from embedrec.storage.workspace import Workspace

F = TypeVar("F", bound=Callable[..., Any])


def shared(duplicates: str = "none", duplicates_at: str = "start") -> Callable[[F], F]:
    """Paths and the options that every source has, filters in their order; defaults of --duplicates and its place."""
    options = [
        click.argument("paths", nargs=-1, required=True, metavar="PATH..."),
        click.option(
            "--by",
            type=click.Choice(["session", "user"]),
            default="session",
            show_default=True,
            help="What a session is: as read, or all events of a user.",
        ),
        click.option("--gap", metavar="TIME", help="Cut sessions at pauses longer than this: 90s, 30min, 2h, 1d."),
        click.option(
            "--kinds", multiple=True, metavar="KIND", help="Keep events of this kind; may be given repeatedly."
        ),
        click.option("--min-rating", type=float, help="Drop events of smaller weight."),
        click.option("--days", type=float, help="Keep events of the last so many days of the data."),
        click.option("--min-tracks", type=click.IntRange(1), help="Drop sessions with fewer rows, counted first."),
        click.option(
            "--duplicates",
            type=click.Choice(["none", "consecutive", "all"]),
            default=duplicates,
            show_default=True,
            help="Drop repeated mentions of an item in a session but the first: of a run, or all.",
        ),
        click.option(
            "--duplicates-at",
            type=click.Choice(["start", "end"]),
            default=duplicates_at,
            show_default=True,
            help="Drop them here, before counting, or after all other filters.",
        ),
        click.option("--top", type=click.IntRange(1), help="Keep the so many most mentioned items."),
        click.option("--min-count", type=click.IntRange(1), help="Drop items with fewer mentions."),
        click.option(
            "--min-length",
            type=click.IntRange(1),
            default=2,
            show_default=True,
            help="Drop sessions with fewer rows left.",
        ),
        click.option("--max-length", type=click.IntRange(1), help="Drop or cut sessions with more rows left."),
        click.option(
            "--long",
            type=click.Choice(["drop", "cut"]),
            default="drop",
            show_default=True,
            help="Drop sessions over --max-length, or keep their last events.",
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
            help="Stop at a row that cannot be used, or leave it out and count it.",
        ),
        click.option(
            "--memory",
            metavar="SIZE",
            help="Keep to so much memory (512M, 2G), with columns of events in files; distinct ids must fit into it "
            "[default: all in memory].",
        ),
        click.option("--name", metavar="NAME", help="Name of the sessions [default: from the source]."),
        log_option,
        json_option,
        threads_option,
        workspace_option,
    ]
    return together(options)


def features_option(role: str) -> Callable[[F], F]:
    """--item-features or --user-features."""
    return click.option(
        f"--{role}-features",
        default="",
        metavar="FILE",
        help=f"Table of what is known of {role}s: .csv, .tsv, .parquet, .jsonl, with a column of {role} ids.",
    )


def feature_types_option(command: F) -> F:
    """--feature-type: what a column of features is, where the guess is wrong."""
    return click.option(
        "--feature-type",
        "feature_types",
        multiple=True,
        callback=_feature_types,
        metavar="NAME=TYPE",
        help="A feature is a number, text, list or date; may be given repeatedly [default: guessed; ids and codes are "
        "text].",
    )(command)


def _feature_types(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    from embedrec.readers.tabular.feature_columns import KINDS

    types = {}
    for value in values:
        name, equals, kind = value.rpartition("=")
        if not equals or kind not in KINDS:
            raise click.BadParameter(f"{value!r} must be NAME=TYPE, where TYPE is one of {', '.join(KINDS)}")
        types[name] = kind
    return types


time_unit_option = click.option(
    "--time-unit",
    type=click.Choice(["auto", "s", "ms", "iso"]),
    default="auto",
    show_default=True,
    help="Unit of the time column.",
)


VALUES = ("time_unit", "time_format", "id_type", "missing")  # what those options say of values
id_options = together(
    [
        click.option(
            "--id-type",
            type=click.Choice(["auto", "text", "number"]),
            default="auto",
            show_default=True,
            help="Ids are texts as they are written, or whole numbers; auto takes numbers where all are.",
        ),
        click.option(
            "--missing",
            multiple=True,
            metavar="TEXT",
            help="This text is no value, in ids too, such as NA; may be given repeatedly. In times and numbers NA, "
            "NULL, \\N and None never are.",
        ),
    ]
)
time_format_option = click.option(
    "--time-format",
    default="",
    metavar="FORM",
    help="How times are written, such as '%d.%m.%Y %H:%M' (the directives of strptime), in place of --time-unit.",
)


def stem_of(paths: Sequence[str]) -> str:
    """A name for sessions, from that of the first file or folder; "" where it has none that is plain."""
    from embedrec.readers.tabular.decompress import without_packing

    name = without_packing(Path(paths[0]).name)
    return plain_from(Path(name[: -len(".tar")] if name.lower().endswith(".tar") else name).stem)


def prepare_from(source: str, settings: dict[str, Any], name: str, *, test: str | None = None, **given: Any) -> None:
    """Read files by the reader `source`, and write the sessions `name`; `given` are the shared options.

    test  file of the held-out part, for readers that read one
    """
    from dataclasses import fields

    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.config import build
    from embedrec.data.filters import Filters
    from embedrec.data.regroup import Regroup
    from embedrec.readers import BadRows, reader
    from embedrec.readers.tabular.read_settings import ReadSettings
    from embedrec.storage.memory_budget import budget_of
    from embedrec.workflows import prepare

    workspace: Workspace = given["workspace"]
    given["kinds"] = given["kinds"] or None
    filters = Filters(**{f.name: given[f.name] for f in fields(Filters)})
    regroup = Regroup(given["by"], given["gap"])
    folder, bad_rows = workspace.folder("sessions", name), BadRows(given["on_bad_row"])
    with Progress("prepare") as report:
        done = prepare.prepare(
            source,
            build(reader(source), settings, given="the options"),
            given["paths"],
            folder,
            filters,
            ReadSettings(bad_rows, given["threads"], budget_of(given["memory"], folder.parent), report),
            regroup=regroup,
            test=test,
        )
    about = done.about
    for line in (*bad_rows.lines(), *bad_rows.notes):
        note(line)
    for line in _told(about):
        note(line)
    if test is not None:
        note(
            f"--test {test} holds {about['test_sessions']:,} sessions, {about['test_events']:,} events, "
            f"{about['questions']:,} questions"
        )
        for line in about["split"]["checked"]:
            note(f"leak check: {line}")
    note(f"wrote sessions {done.name} ({done.folder})")
    tell_outdated(workspace, done)
    emit(
        [{"sessions": about["sessions"], "items": about["items"], "events": about["events"]}],
        given["as_json"],
    )


def _told(about: dict[str, Any]) -> Iterator[str]:
    """What grouping and filters did, for notes."""
    regrouped, sessions = about["regrouped"], about["read"]["sessions"]
    options = [f"--by {regrouped['by']}"] * (regrouped["by"] != "session")
    options += [f"--gap {regrouped['gap']}"] * (regrouped["gap"] is not None)
    if options:
        yield f"{' '.join(options)} made {regrouped['sessions']:,} sessions of {sessions:,}"
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
