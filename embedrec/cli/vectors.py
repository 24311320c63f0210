"""`embedrec vectors`: import and export item vectors in formats of other tools."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from embedrec.cli.shared.artifacts import find_model, note_outdated
from embedrec.cli.shared.commands import SuggestingGroup
from embedrec.cli.shared.options import (
    INPUT_FILE,
    emit,
    json_option,
    log_option,
    note,
    note_artifact,
    space_option,
    whitespace_option,
    workspace_option,
)
from embedrec.storage.artifacts import plain_from
from embedrec.storage.workspace import Workspace

if TYPE_CHECKING:
    from embedrec.storage.remote import ReadPath

_format = click.option(
    "--format",
    "kind",
    type=click.Choice(["text", "binary", "npy", "safetensors", "parquet", "fvecs", "bvecs", "ivecs", "fbin"]),
    help="Format [default: by suffix: .txt .vec, .bin, .npy, .safetensors, .parquet, .fvecs, .bvecs, .ivecs, .fbin].",
)


def note_metadata(file: Path) -> None:
    """Print a note if a metadata file was written next to a file of vectors."""
    from embedrec.vectors.metadata import meta_file

    if meta_file(file).is_file():
        note(f"wrote the metric and the encoding of ids to {meta_file(file)}; keep it next to {file.name}")


@click.group(cls=SuggestingGroup, short_help="Import and export item vectors.")
def vectors() -> None:
    """Import and export item vectors: word2vec text and binary, NumPy, safetensors, Parquet, fvecs, bvecs, ivecs, fbin.

    The ids of X in .npy, .fvecs, .bvecs, .ivecs and .fbin are in X.ids.txt, one per line. FILE.meta.json records a
    metric other than cosine and percent-encoded ids if the format has no field for them.
    """


@vectors.command("export")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write a folder for the Hugging Face hub instead: safetensors, items, and a card with the model's settings.",
)
@_format
@click.option("--model", metavar="NAME", help="Model to export [default: the latest].")
@space_option
@whitespace_option
@log_option
@workspace_option
def export(
    file: Path | None,
    folder: Path | None,
    kind: Any,
    model: str | None,
    space: str | None,
    whitespace: Any,
    workspace: Workspace,
) -> None:
    """Write the latest model's item vectors to FILE, or to a folder that can be uploaded to the Hugging Face hub.

    \b
    embedrec vectors export artists.bin
    embedrec vectors export --to artist-vectors
    """
    if (file is None) == (folder is None):
        raise click.UsageError("name either a FILE or --to FOLDER")
    if folder is not None:
        if kind is not None:
            raise click.UsageError("--to writes safetensors; leave --format out")
        if space is not None:
            raise click.UsageError("--to writes the vectors of the model's own space; leave --space out")
        _export_folder(workspace, model, folder)
        return
    assert file is not None
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.vectors.file_formats import save_vectors
    from embedrec.workflows.spaces import item_vectors

    source = find_model(workspace, model)
    with Progress("vectors export") as report:
        embeddings = item_vectors(source, space)
        save_vectors(embeddings, file, kind, whitespace=whitespace, report=report)
    note(f"wrote {len(embeddings)} × {embeddings.dim} vectors to {file}")
    note_metadata(file)


def _export_folder(workspace: Workspace, model: str | None, folder: Path) -> None:
    from embedrec.workflows.hub_export import export_hub_folder

    embeddings = export_hub_folder(workspace, find_model(workspace, model), folder)
    note(f"wrote {len(embeddings)} × {embeddings.dim} vectors, their items and a card to {folder}")


@vectors.command("import")
@click.argument("file", type=INPUT_FILE)
@_format
@click.option(
    "--metric", type=click.Choice(["cosine", "dot", "l2"]), help="Metric [default: that of the file, else cosine]."
)
@click.option("--encoded", is_flag=True, help="Ids are percent-encoded, as written by --whitespace encode.")
@click.option("--name", metavar="NAME", help="Name of the model [default: the file name without its suffix].")
@log_option
@workspace_option
def import_(file: ReadPath, kind: Any, metric: Any, encoded: bool, name: str | None, workspace: Workspace) -> None:
    """Import item vectors from FILE as a model that can be indexed and searched like a trained one.

    FILE may be a folder that `embedrec vectors export --to` wrote, and both may be at a URL (s3a://, gs://, hdfs://).

    Files in .npy, .fbin, .fvecs, .bvecs and .ivecs may be larger than memory.

    \b
    embedrec vectors import GoogleNews-vectors-negative300.bin --name news
    embedrec vectors import s3a://bucket/vectors/artists.npy
    """
    from embedrec.cli.shared.progress_bar import Progress
    from embedrec.workflows.train import import_vectors

    folder = workspace.folder("model", name or plain_from(PurePosixPath(file.name).stem) or "vectors")
    with Progress("vectors import") as report:
        done = import_vectors(file, folder, kind=kind, metric=metric, encoded=encoded, report=report)
    if done.about["metric_from"] == "assumed":
        note(f"{file} has no metric; using cosine, which --metric overrides")
    note(f"wrote model {done.name} ({done.folder})")
    note_outdated(workspace, done)


@vectors.command("align")
@click.argument("model")
@click.option(
    "--to", "reference", metavar="NAME", required=True, help="Model whose space the vectors are rotated into."
)
@click.option("--name", metavar="NAME", help="Name of the aligned model [default: replace MODEL].")
@log_option
@json_option
@workspace_option
def align(model: str, reference: str, name: str | None, as_json: bool, workspace: Workspace) -> None:
    """Rotate the vectors of MODEL into the space of another model, so that vectors of both can be compared.

    The rotation brings the common items closest to their vectors in the other model (orthogonal Procrustes, weighted by
    mentions). No list and no score of MODEL changes.

    \b
    embedrec vectors align word2vec --to word2vec-yesterday
    """
    from embedrec.workflows.spaces import align_artifact

    source, onto = (note_artifact(workspace.find("model", given)) for given in (model, reference))
    done = align_artifact(source, onto, workspace.folder("model", name or source.name))
    note(f"wrote model {done.name} ({done.folder})")
    note_outdated(workspace, done)
    fit = done.about["alignment"]
    names = {"common_items": "common", "cosine_mean": "mean", "cosine_median": "median", "cosine_low": "low"}
    emit([{"model": done.name, **{name: fit[key] for name, key in names.items()}}], as_json)


@vectors.command("export-encoder")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", metavar="NAME", help="Model to export: two-tower, gru4rec or sasrec [default: the latest].")
@log_option
@workspace_option
def encoder(file: Path, model: str | None, workspace: Workspace) -> None:
    """Write the encoder of a two-tower, gru4rec or sasrec model to FILE.onnx: histories become queries.

    ONNX Runtime runs it without torch; an index built with --of answers takes the query. The input "items" holds rows
    of FILE.ids.txt, oldest first, and -1 for unknown items and padding.

    \b
    embedrec vectors export-encoder encoder.onnx --model gru4rec
    """
    from embedrec.workflows.export_encoder import export_encoder

    files = export_encoder(find_model(workspace, model), file)
    note(f"wrote the encoder to {files.file} and the ids of its rows to {files.items}")
    if files.users is not None:
        note(f"wrote the ids of users to {files.users}")
