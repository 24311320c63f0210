"""Options of the commands that write the lists of all items, sessions or histories: `export` and `publish`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from embedrec.cli.shared.options import INPUT_FILE, combine_options, note
from embedrec.cli.shared.policy_options import policy_options
from embedrec.cli.shared.search_options import filter_options_beside_attributes, source_options

if TYPE_CHECKING:
    from embedrec.export.write_lists import ExportResult
    from embedrec.workflows.export import ExportSource


list_source_options = combine_options(
    [
        click.option(
            "--of",
            type=click.Choice(["items", "sessions", "recommendations"]),
            default="items",
            show_default=True,
            help="Neighbours of items, neighbours of training sessions, or next items for --histories.",
        ),
        source_options,
        click.option(
            "--histories",
            type=INPUT_FILE,
            metavar="FILE",
            help="Table of histories to recommend for: session, item and, optionally, time.",
        ),
        click.option("--seen", is_flag=True, help="Allow items of the history in the recommendations."),
    ]
)


selection_options = combine_options(
    [
        policy_options,
        click.option(
            "--candidates",
            type=click.IntRange(1),
            metavar="N",
            help="Candidates per list that policies select from [default: three times -n].",
        ),
        click.option(
            "--attributes",
            type=INPUT_FILE,
            metavar="FILE",
            help="Table of item features for --cap and --where [default: the features of the training sessions].",
        ),
        filter_options_beside_attributes,
    ]
)


def export_source(given: dict[str, Any], threads: int) -> ExportSource:
    """The lists that the options name. Raises UsageError for incompatible options."""
    from embedrec.workflows.export import ExportSource

    of, allowed = given["of"], given["allowed"]
    given["policies"].check(of)
    if (of == "recommendations") != (given["histories"] is not None):
        raise click.UsageError("--of recommendations and --histories FILE need each other; give both or neither")
    if given["seen"] and of != "recommendations":
        raise click.UsageError("--seen needs --of recommendations; leave it out")
    if given["attributes"] is not None and not (given["policies"].caps or (allowed is not None and allowed.where)):
        raise click.UsageError("--attributes needs --where or --cap; leave it out")
    if given["device"] != "cpu" and of != "items":
        raise click.UsageError("--device needs --of items; leave it out")
    if allowed and of == "sessions":
        raise click.UsageError("--where, --only and --exclude filter items, not sessions; leave them out")
    if given["popularity"] is not None and of == "sessions":
        raise click.UsageError("--popularity applies to items, not sessions; leave it out")
    names = ("of", "model", "index", "popularity", "device", "attributes", "allowed", "histories")
    return ExportSource(
        search=given["settings"],
        exclude_seen=not given["seen"],
        threads=threads,
        **{name: given[name] for name in names},
    )


def note_effect(done: ExportResult, policies: str, k: int) -> None:
    """Print the effect of the policies of an export, if it has any."""
    effect = done.effect
    if effect is None:
        return
    note(f"policies: {policies}")
    for when, coverage, gini, short in (
        ("before", effect.coverage_before, effect.gini_before, effect.short_before),
        ("after", effect.coverage_after, effect.gini_after, effect.short_after),
    ):
        note(f"{when}: coverage {coverage:.4f}, Gini {gini:.4f}, {short:,} lists with fewer than {k} results")
    note(f"overlap@{k} {effect.overlap:.4f}")
