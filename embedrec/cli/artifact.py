"""`embedrec artifact`: remove, rename and tag artifacts."""

from __future__ import annotations

from dataclasses import asdict

import click

from embedrec.cli.shared.commands import SuggestingGroup
from embedrec.cli.shared.options import emit, json_option, log_option, note, workspace_option
from embedrec.storage.artifacts import FOLDERS
from embedrec.storage.workspace import Workspace

_kind_option = click.option(
    "--kind", type=click.Choice([*FOLDERS]), help="Kind of the artifact [default: all of the name]."
)


@click.group(cls=SuggestingGroup, short_help="Remove, rename and tag artifacts.")
def artifact() -> None:
    """Remove, rename and tag artifacts of the workspace, and their versions.

    A name stands for the sessions, the model and the index of that name; --kind selects one of them. NAME@VERSION and
    NAME@TAG name a version, here and in every command that takes the name of an artifact.
    """


@artifact.command("rm", short_help="Remove artifacts, or versions of them.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@_kind_option
@click.option("--force", is_flag=True, help="Also remove what other artifacts need, and versions with a tag.")
@log_option
@json_option
@workspace_option
def remove(names: tuple[str, ...], kind: str | None, force: bool, as_json: bool, workspace: Workspace) -> None:
    """Remove the artifacts called NAME with all their versions, or versions given as NAME@VERSION or NAME@TAG.

    Refused if another artifact needs one of them: a model its sessions, an index its model, a fusion its parts.
    Columns: kind, name, version, bytes that this frees.

    \b
    embedrec artifact rm word2vec-old
    embedrec artifact rm word2vec@3 word2vec-ivf@3
    """
    from embedrec.workflows.artifact import remove_artifacts

    removed = remove_artifacts(workspace, names, kind, force=force)
    note(f"freed {sum(one.bytes for one in removed) / 1e6:,.1f} MB")
    emit((asdict(one) for one in removed), as_json)


@artifact.command("mv", short_help="Rename artifacts.")
@click.argument("old")
@click.argument("new")
@_kind_option
@log_option
@json_option
@workspace_option
def rename(old: str, new: str, kind: str | None, as_json: bool, workspace: Workspace) -> None:
    """Rename the artifacts called OLD, their versions and tags, to NEW.

    Models and indexes that were made from them find them under the new name, by their content. Columns: kind, name.

    \b
    embedrec artifact mv word2vec word2vec-128
    """
    from embedrec.workflows.artifact import rename_artifacts

    renamed = rename_artifacts(workspace, old, new, kind)
    for one in renamed:
        note(f"{one.kind} {old} is now {one.kind} {one.name} ({one.folder})")
    emit(({"kind": one.kind, "name": one.name} for one in renamed), as_json)


@artifact.command("tag", short_help="Keep artifacts, and name them.")
@click.argument("name")
@click.argument("tag")
@_kind_option
@click.option("--delete", is_flag=True, help="Take the tag away; the versions stay until `embedrec gc`.")
@log_option
@json_option
@workspace_option
def tag(name: str, tag: str, kind: str | None, delete: bool, as_json: bool, workspace: Workspace) -> None:
    """Keep the current artifacts called NAME as versions and give them the name TAG; or give it to NAME@VERSION.

    They take no more space as long as they are current, and stay when they are replaced, also by train and prepare;
    `embedrec gc` keeps what has a tag. Several names may have the same tag: `embedrec rollback --to TAG` puts them back
    together. Columns: kind, name, version.

    \b
    embedrec artifact tag word2vec friday
    embedrec train word2vec --set dim=128
    embedrec drift word2vec@friday word2vec
    embedrec rollback --to friday
    """
    from embedrec.workflows.artifact import tag_artifacts

    for one in (tagged := tag_artifacts(workspace, name, tag, kind, delete=delete)):
        note(f"{one.kind} {one.name}@{one.version} {'no longer has' if delete else 'has'} the tag {tag}")
    emit(({"kind": one.kind, "name": one.name, "version": one.version} for one in tagged), as_json)
