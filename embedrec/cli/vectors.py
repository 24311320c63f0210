"""`embedrec vectors`: item vectors to and from files of other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from embedrec.cli.shared.artifacts import latest_model, tell_outdated
from embedrec.cli.shared.command_group import Named
from embedrec.cli.shared.options import log_option, note, whitespace_option, workspace_option
from embedrec.storage.artifacts import plain_from
from embedrec.storage.workspace import Workspace

_format = click.option(
    "--format",
    "kind",
    type=click.Choice(["text", "binary", "npy", "safetensors", "parquet", "fvecs", "bvecs", "ivecs", "fbin"]),
    help="Format [default: by suffix: .txt .vec, .bin, .npy, .safetensors, .parquet, .fvecs, .bvecs, .ivecs, .fbin].",
)


def tell_meta(file: Path) -> None:
    """Say what stands beside a file of vectors that was written."""
    from embedrec.vectors.metadata import meta_file

    if meta_file(file).is_file():
        note(f"wrote the metric and how ids are written to {meta_file(file)}; keep it beside {file.name}")


@click.group(cls=Named, short_help="Item vectors to and from files of other tools.")
def vectors() -> None:
    """Item vectors to and from word2vec text and binary, NumPy, safetensors, Parquet, fvecs, bvecs, ivecs and fbin.

    Ids of .npy, .fvecs, .bvecs, .ivecs and .fbin stand in X.ids.txt beside X, one a line. A metric other than cosine,
    and that ids are percent-encoded, stand in X.meta.json beside X where the format cannot hold them.
    """


@vectors.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@_format
@click.option("--model", metavar="NAME", help="Model whose vectors are written [default: the latest].")
@whitespace_option
@log_option
@workspace_option
def export(file: Path, kind: Any, model: str | None, whitespace: Any, workspace: Workspace) -> None:
    """Write the latest model's item vectors to FILE.

    \b
    embedrec vectors export artists.bin
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.vectors.file_formats import save_vectors
    from embedrec.workflows import lineage

    source = latest_model(workspace, model)
    with Progress("vectors export") as report:
        embeddings = lineage.item_vectors(source)
        save_vectors(embeddings, file, kind, whitespace=whitespace, report=report)
    note(f"wrote {len(embeddings)} × {embeddings.dim} vectors to {file}")
    tell_meta(file)


@vectors.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@_format
@click.option("--metric", type=click.Choice(["cosine", "dot", "l2"]), help="Metric [default: the file's, else cosine].")
@click.option("--encoded", is_flag=True, help="Ids are percent-encoded, as --whitespace encode writes them.")
@click.option("--name", metavar="NAME", help="Name of the model [default: the file's, without its suffix].")
@log_option
@workspace_option
def import_(file: Path, kind: Any, metric: Any, encoded: bool, name: str | None, workspace: Workspace) -> None:
    """Read item vectors from FILE into a model, to be indexed and searched like a trained one.

    Those of .npy, .fbin, .fvecs, .bvecs and .ivecs may be larger than the memory.

    \b
    embedrec vectors import GoogleNews-vectors-negative300.bin --name news
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.workflows import train

    folder = workspace.folder("model", name or plain_from(file.stem) or "vectors")
    with Progress("vectors import") as report:
        done = train.import_vectors(file, folder, kind=kind, metric=metric, encoded=encoded, report=report)
    if done.about["metric_from"] == "assumed":
        note(f"{file} does not say how its vectors are compared; taken as cosine, unless --metric says otherwise")
    note(f"wrote model {done.name} ({done.folder})")
    tell_outdated(workspace, done)
