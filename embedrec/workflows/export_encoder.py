"""The encoder of a model as an ONNX file, for services without torch and without embedrec."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from embedrec.errors import SettingsError
from embedrec.models import MODELS, recipe_class
from embedrec.models.array_packing import unpack_ids
from embedrec.models.onnx_graph import OnnxGraph, OnnxRecipe
from embedrec.models.serialization import load_model
from embedrec.models.vector_model import VectorModel
from embedrec.storage.artifacts import Artifact
from embedrec.storage.atomic import atomic_file
from embedrec.vectors.file_formats import id_lines, ids_file


@dataclass(frozen=True)
class EncoderFiles:
    """The files of an exported encoder.

    file      the ONNX model
    items     the item ids, one per line, in the order of rows
    users     the same of users; None if the model has none
    """

    file: Path
    items: Path
    users: Path | None


def export_encoder(source: Artifact, file: Path) -> EncoderFiles:
    """Write the encoder of a model artifact to `file` in ONNX format, and the ids of its rows beside it.

    The inputs and the output are those of `models.onnx_graph`. Metadata: "recipe", "metric", by which a query is
    compared with vectors of an index built with `--of answers`, and "fingerprint" of the model artifact.

    Raises SettingsError for a model whose encoder has no ONNX form, for another suffix than .onnx, and when the package
    onnx is missing; DataError for an encoder that is too large, and for an id with a line break.
    """
    if file.suffix != ".onnx":
        raise SettingsError(f"an encoder is an .onnx file, but {file} is another; use a name that ends in .onnx")
    graph, recipe = OnnxGraph(), source.about["recipe"]
    exportable = [name for name in MODELS if issubclass(recipe_class(name), OnnxRecipe)]
    if recipe not in exportable:
        raise SettingsError(
            f"model {source.name} ({recipe}) has no ONNX encoder; those of {', '.join(exportable)} have one"
        )
    model = load_model(source)
    assert isinstance(model, VectorModel) and isinstance(model.recipe, OnnxRecipe)
    query = model.recipe.add_onnx_encoder(graph, model)
    about = {"recipe": recipe, "metric": model.answers.metric, "fingerprint": source.fingerprint}
    content = graph.model(query, model.answers.dim, about).SerializeToString()
    items, users = ids_file(file), None
    lines = {items: id_lines(model.vocab, items, _REMEDY)}
    if "user" in graph.inputs:
        users = ids_file(file.with_name(f"{file.stem}-users.onnx"))
        lines[users] = id_lines(unpack_ids(model.arrays, "user"), users, _REMEDY)
    for path, ids in lines.items():
        with atomic_file(path) as f:
            f.writelines(ids)
    with atomic_file(file, "wb") as f:
        f.write(content)
    return EncoderFiles(file, items, users)


_REMEDY = "replace line breaks in the ids and train again"
