"""`embedrec gc`: free the space of old versions."""

from __future__ import annotations

from dataclasses import asdict

import click

from embedrec.cli.shared.options import emit, json_option, log_option, note, workspace_option
from embedrec.storage.workspace import Workspace

_NAMES = {"version": "versions", "refresh": "abandoned refreshes", "part": "parts"}


@click.command(short_help="Free the space of old versions and of unused parts.")
@click.option(
    "--keep",
    type=click.IntRange(0),
    default=7,
    show_default=True,
    metavar="N",
    help="Earlier versions of each artifact to keep, beside the current one.",
)
@click.option(
    "--refresh-days",
    type=click.FloatRange(0),
    default=7.0,
    show_default=True,
    metavar="DAYS",
    help="Days after which what an interrupted or refused refresh has left is removed; 0 removes it now.",
)
@click.option("--dry-run", is_flag=True, help="List what would be removed; remove nothing.")
@log_option
@json_option
@workspace_option
def gc(keep: int, refresh_days: float, dry_run: bool, as_json: bool, workspace: Workspace) -> None:
    """Remove old versions of artifacts, abandoned refreshes, and kept parts of fusion and ranker that no model uses.

    The current artifacts stay, and so do versions with a tag and those that current models, indexes, and kept fusions
    and rankers were made from. Columns: what, kind, name, version, bytes that this frees.

    \b
    embedrec gc
    embedrec gc --keep 30 --dry-run
    """
    from embedrec.workflows.gc import collect_garbage

    freed = collect_garbage(workspace, keep, days=refresh_days, dry_run=dry_run)
    counts = [f"{sum(one.what == what for one in freed)} {name}" for what, name in _NAMES.items()]
    size = sum(one.bytes for one in freed) / 1e6
    if not freed:
        note("nothing to free")
    else:
        would = "would free" if dry_run else "freed"
        note(f"{would} {size:,.1f} MB: {', '.join(counts)}")
    emit((asdict(one) for one in freed), as_json)
