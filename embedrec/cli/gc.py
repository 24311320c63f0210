"""`embedrec gc`: free the space of old versions."""

from __future__ import annotations

from dataclasses import asdict

import click

from embedrec.cli.shared.options import emit, json_option, log_option, note, workspace_option
from embedrec.storage.workspace import Workspace


@click.command(short_help="Free the space of old versions and of unused parts.")
@click.option(
    "--keep",
    type=click.IntRange(0),
    default=7,
    show_default=True,
    metavar="N",
    help="Earlier versions of each artifact to keep, beside the current one.",
)
@click.option("--dry-run", is_flag=True, help="List what would be removed; remove nothing.")
@log_option
@json_option
@workspace_option
def gc(keep: int, dry_run: bool, as_json: bool, workspace: Workspace) -> None:
    """Remove old versions of artifacts, and kept parts of fusion and ranker that no model uses.

    The current artifacts stay, and so do versions with a tag and those that current models, indexes, and kept fusions
    and rankers were made from. Columns: what, kind, name, version, bytes that this frees.

    \b
    embedrec gc
    embedrec gc --keep 30 --dry-run
    """
    from embedrec.workflows.gc import collect_garbage

    freed = collect_garbage(workspace, keep, dry_run=dry_run)
    versions = sum(one.what == "version" for one in freed)
    size = sum(one.bytes for one in freed) / 1e6
    if not freed:
        note("nothing to free")
    else:
        would = "would free" if dry_run else "freed"
        note(f"{would} {size:,.1f} MB: {versions} versions, {len(freed) - versions} parts")
    emit((asdict(one) for one in freed), as_json)
