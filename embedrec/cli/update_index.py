"""`embedrec update-index`."""

from __future__ import annotations

from pathlib import Path

import click

from embedrec.cli.shared.artifacts import use_artifact
from embedrec.cli.shared.options import (
    emit,
    json_option,
    log_option,
    note,
    threads_option,
    use_threads,
    workspace_option,
)
from embedrec.cli.shared.search_options import id_list
from embedrec.storage.workspace import Workspace


@click.command("update-index", short_help="Add, replace and remove items of an index.")
@click.argument("index")
@click.option(
    "--model",
    metavar="NAME",
    help="Use the vectors of this model; items that it lacks are removed, unless --align is given.",
)
@click.option(
    "--align", is_flag=True, help="Rotate the model's vectors into the space of the index first (Procrustes)."
)
@click.option("--remove", metavar="FILE", help="Remove these items: ids, one per line; '-' is stdin.")
@click.option(
    "--replace", type=click.Path(path_type=Path), metavar="VECTORS", help="New vectors of items in the index."
)
@click.option(
    "--add", type=click.Path(path_type=Path), metavar="VECTORS", help="Vectors of items that are not in the index."
)
@click.option("--compact", is_flag=True, help="Rebuild the index afterwards: without tombstones, meeting its target.")
@click.option("--name", metavar="NAME", help="Name of the changed index [default: replace INDEX].")
@log_option
@threads_option
@json_option
@workspace_option
def update_index(
    index: str,
    model: str | None,
    align: bool,
    remove: str | None,
    replace: Path | None,
    add: Path | None,
    compact: bool,
    name: str | None,
    threads: int,
    as_json: bool,
    workspace: Workspace,
) -> None:
    """Change the items of INDEX without rebuilding it, and measure its recall before and after.

    VECTORS are files in any format that `embedrec vectors import` reads. Changes are made in the order of the options.
    The new version replaces the old one atomically; processes that have the old one open continue to use it.

    \b
    embedrec update-index word2vec-ivf --add new.parquet --remove gone.txt
    embedrec update-index word2vec-ivf --model word2vec-today --align
    embedrec update-index word2vec-hnsw --compact

    FAISS cannot remove items from HNSW graphs: they remain as tombstones, which searches skip, until --compact.
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.workflows.build_index import features_for_index
    from embedrec.workflows.update_index import Changes, change_index

    source = use_artifact(workspace, workspace.find("index", index))
    trained = None if model is None else use_artifact(workspace, workspace.find("model", model))
    ids = None if remove is None else id_list(remove)
    use_threads(threads)
    with Progress("update-index") as report:
        features = None if trained is None else features_for_index(workspace, trained, report)
        changes = Changes(trained, align, ids, replace, add, compact, features=features)
        done = change_index(source, workspace.folder("index", name or source.name), changes, report=report)
    for line in done.messages:
        note(line)
    note(f"wrote index {done.artifact.name} ({done.artifact.folder})")
    emit([done.row], as_json)
