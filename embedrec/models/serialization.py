"""Saving and loading of models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from embedrec.config import build, settings_of
from embedrec.data.parquet_io import load_vocab, save_vocab
from embedrec.errors import ArtifactError, SettingsError
from embedrec.models import settings_class
from embedrec.models.base import Model, ThreadedModel
from embedrec.models.neighbour_lists import ListsModel
from embedrec.models.space_maps import ARRAY as MAPS_ARRAY
from embedrec.models.space_maps import NO_MAPS, Maps
from embedrec.models.vector_model import VectorModel
from embedrec.storage import artifacts
from embedrec.storage.artifacts import PARTS, Artifact
from embedrec.storage.workspace import Workspace
from embedrec.vectors.embeddings import Embeddings

M = TypeVar("M", bound=Model)
NO_PARTS: Mapping[str, Artifact] = MappingProxyType({})

# settings that older artifacts lack, with the values they were trained with
LEGACY_DEFAULTS: dict[str, dict[str, Any]] = {
    "word2vec": {"smoothing": 0.0, "popularity": 0.0, "similar_popularity": 0.0}
}


def save_model(
    model: Model,
    folder: str | Path,
    about: Mapping[str, Any],
    *,
    made_from: artifacts.Artifact | None = None,
    parts: Mapping[str, Artifact] = NO_PARTS,
    maps: Maps = NO_MAPS,
) -> None:
    """Write the artifact `folder`, kind "model"; `about` is provenance, `made_from` as of `artifacts.writing`.

    parts  prefix → model artifact that holds the arrays "prefix.…". If it still is in the same folder of models or in
           its `parts/`, its arrays are not written again: the manifest names it by fingerprint
    maps   rotations into older spaces, see `space_maps`

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from embedrec import Popular, Sessions, save_model
    >>> model = Popular().fit(Sessions.of_lists([["bread", "jam"], ["jam"]]))
    >>> with TemporaryDirectory() as folder:
    ...     save_model(model, Path(folder) / "popular", {"shop": "corner"})
    ...     sorted(file.name for file in Path(folder, "popular").iterdir())
    ['counts.npy', 'manifest.json', 'vocab.parquet']
    """
    recipe = {"recipe": model.recipe.name, "settings": settings_of(model.recipe), "items": len(model.vocab)}
    linked = {prefix: part for prefix, part in parts.items() if _place(part.folder, Path(folder)) is not None}
    linked = {prefix: part for prefix, part in linked.items() if artifacts.is_same(part)}
    elsewhere = {f"{prefix}.{name}" for prefix, part in linked.items() for name in part.about["arrays"]}
    own = {name: array for name, array in model.arrays.items() if name not in elsewhere}
    manifest = {**recipe, **about, "arrays": sorted(own)}
    if linked:
        manifest["parts"] = {
            prefix: {"name": _place(part.folder, Path(folder)), "fingerprint": part.fingerprint}
            for prefix, part in linked.items()
        }
    if maps:
        manifest["maps"] = list(maps)
    needs = list(linked.values())
    with artifacts.writing(Path(folder), "model", manifest, made_from=made_from, needs=needs) as draft:
        save_vocab(model.vocab, draft.path("vocab.parquet"))
        for name, array in own.items():
            draft.array(name, array)
        if maps:
            draft.array(MAPS_ARRAY, np.stack(list(maps.values())))


def load_model(source: artifacts.Artifact | str | Path, *, threads: int = 1) -> Model:
    """The model of an artifact or of its folder.

    threads  with which it answers a batch of histories, if it can use several

    Raises ArtifactError when it is not a model artifact or its parts do not fit together.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from embedrec import Popular, Sessions, load_model, save_model
    >>> model = Popular().fit(Sessions.of_lists([["bread", "jam"], ["jam"]]))
    >>> with TemporaryDirectory() as folder:
    ...     save_model(model, Path(folder) / "popular", {"shop": "corner"})
    ...     load_model(Path(folder) / "popular")
    PopularModel(popular, 2 items)
    """
    artifact = artifacts.as_artifact(source, "model")
    about = artifact.about
    with artifacts.opening(artifact, "train the model again"):
        settings = LEGACY_DEFAULTS.get(about["recipe"], {}) | about["settings"]
        recipe = build(settings_class(about["recipe"]), settings, source=str(artifact.folder))
        arrays = {name: artifact.array(name) for name in about["arrays"]}
        for prefix, part in part_artifacts(artifact).items():
            arrays |= {f"{prefix}.{name}": part.array(name) for name in part.about["arrays"]}
        model = recipe.from_arrays(load_vocab(artifact.path("vocab.parquet")), arrays)
    return model.with_threads(threads) if isinstance(model, ThreadedModel) else model


def part_artifacts(artifact: Artifact) -> dict[str, Artifact]:
    """The artifacts that hold arrays of a composite model, by the prefix of their names; empty for other models.

    Raises ArtifactError if one is missing, or another than the model was trained with.
    """
    parts = {}
    for prefix, entry in artifact.about.get("parts", {}).items():
        folder = part_folder(artifact, entry["name"])
        part = find_part(artifact, **entry)
        if part is None and not folder.exists():
            raise ArtifactError(
                f"model {artifact.name} needs its part {entry['name']}, but {folder} does not exist; "
                f"restore it, or train {artifact.name} again"
            )
        if part is None:
            raise ArtifactError(
                f"model {artifact.name} was trained with another part {entry['name']} than the one in {folder}; "
                f"train {artifact.name} again"
            )
        parts[prefix] = part
    return parts


def find_part(artifact: Artifact, name: str, fingerprint: str) -> Artifact | None:
    """The part that a composite model names: beside it, or a version of that in its workspace; None if there is none.

    Raises ArtifactError if the name is none of a model beside it.
    """
    folder = part_folder(artifact, name)
    beside = artifacts.read(folder, "model") if folder.exists() else None
    if beside is not None and beside.fingerprint == fingerprint:
        return beside
    return Workspace.of(artifact).version("model", name, fingerprint)


def part_folder(artifact: Artifact, name: str) -> Path:
    """The folder of a part that a composite model names. Raises ArtifactError if it is none beside the model."""
    place = PurePosixPath(name)
    if place.parent.as_posix() not in (".", PARTS) or not artifacts.plain_name(place.name):
        raise ArtifactError(f"{artifact.folder} names the part {name!r}, which is no model beside it")
    return artifact.folder.parent / place


def _place(part: Path, folder: Path) -> str | None:
    """The place of a part relative to the folder of models of `folder`; None if it is elsewhere."""
    models = folder.absolute().parent
    place = part.absolute()
    if place.parent == models:
        return place.name
    return f"{PARTS}/{place.name}" if place.parent == models / PARTS else None


def with_popularity(source: artifacts.Artifact, model: M, popularity: float | None) -> M | VectorModel:
    """The model of an artifact with a popularity exponent, see `VectorModel.scale_norms`; None changes nothing.

    Raises SettingsError for a popularity when the model has no vectors.
    """
    if popularity is None:
        return model
    if not isinstance(model, VectorModel):
        raise SettingsError(f"model {source.name} ({source.about['recipe']}) has no vectors; leave --popularity out")
    return model.scale_norms(popularity)


def load_item_vectors(source: Artifact) -> Embeddings:
    """The item embeddings of a model artifact. Raises SettingsError when it is a model without vectors."""
    return load_vector_model(source).embeddings


def load_vector_model(source: Artifact) -> VectorModel:
    """The model of an artifact. Raises SettingsError when it is one without vectors."""
    model = load_model(source)
    if isinstance(model, ListsModel):
        raise SettingsError(
            f"model {source.name} ({source.about['recipe']}) has no vectors; `embedrec similar` and `embedrec export` "
            f"take it without an index, with --model {source.name}"
        )
    if not isinstance(model, VectorModel):
        raise SettingsError(
            f"model {source.name} ({source.about['recipe']}) has no vectors; "
            "train word2vec, or name another model with --model"
        )
    return model
