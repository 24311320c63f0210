"""`embedrec rollback`: the artifacts, or the published generation, of before."""

from __future__ import annotations

from dataclasses import asdict

import click

from embedrec.cli.shared.options import emit, json_option, log_option, note, workspace_option
from embedrec.publish import TARGETS
from embedrec.storage.workspace import Workspace

_SERVICES = [name for name, target in TARGETS.items() if target.url]


@click.command(short_help="Put the previous artifacts, or the previous published generation, back.")
@click.argument("name", required=False)
@click.option("--to", metavar="VERSION", help="Number or tag of the version to go back to [default: the previous one].")
@click.option(
    "--published",
    type=click.Choice(_SERVICES),
    help="Roll back what this service serves: NAME is its URL, and VERSION the generation.",
)
@click.option("--prefix", metavar="TEXT", help="With --published, the prefix of all names at the destination.")
@log_option
@json_option
@workspace_option
@click.pass_context
def rollback(
    context: click.Context,
    name: str | None,
    to: str | None,
    published: str | None,
    prefix: str | None,
    as_json: bool,
    workspace: Workspace,
) -> None:
    """Undo the newest `embedrec refresh`: put all artifacts that it replaced back, as one.

    With NAME, undo the newest refresh that changed the artifacts of this name, also older than that of other data. A
    second rollback undoes the first. A running `embedrec serve` follows.

    \b
    embedrec rollback
    embedrec rollback word2vec
    embedrec rollback --to 12
    embedrec rollback --to friday
    embedrec rollback --published redis redis://127.0.0.1:6379/0

    Columns: kind, name, version, the version before. `embedrec info --versions` lists what is kept, and `embedrec
    artifact tag` keeps and names a version.
    """
    if published is not None:
        _roll_back_published(context, published, name, to, prefix, as_json)
        return
    if prefix is not None:
        raise click.UsageError("--prefix needs --published; give both or neither")
    from embedrec.workflows.rollback import roll_back

    results = roll_back(workspace, name, to)
    for result in results:
        now = "removed" if result.version is None else f"version {result.version} again"
        note(f"{result.kind} {result.name} is {now}, not {result.before or 'absent'}; another rollback reverts this")
    emit((asdict(result) for result in results), as_json)


def _roll_back_published(
    context: click.Context, target: str, url: str | None, to: str | None, prefix: str | None, as_json: bool
) -> None:
    """`embedrec publish TARGET URL --rollback`."""
    from embedrec.cli.publish import publish

    if to is not None and not to.isdigit():
        raise click.UsageError(f"{to!r} is no generation; `embedrec publish {target} URL --list` lists them")
    words = [*([] if url is None else [url]), "--rollback"]
    words += [] if to is None else ["--generation", to]
    words += [] if prefix is None else ["--prefix", prefix]
    command = publish.get_command(context, target)
    assert command is not None
    with command.make_context(f"publish {target}", [*words, *(["--json"] if as_json else [])], parent=context) as inner:
        command.invoke(inner)
