"""The space of a new model: that of an older one, by rotation or as old vectors stay, or a new one with maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedrec.errors import SettingsError
from embedrec.models.alignment import RotatableRecipe, align_model
from embedrec.models.base import Model
from embedrec.models.serialization import load_vector_model, save_model
from embedrec.models.space_maps import Maps, in_space, load_maps, maps_of_new_space
from embedrec.models.vector_model import VectorModel
from embedrec.progress import Report, quiet
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.space import short, space_of
from embedrec.workflows.lineage import provenance
from embedrec.workflows.warm_start import WarmStart


@dataclass(frozen=True, eq=False)
class SpacedModel:
    """A model, and what its manifest says of its space.

    maps  into older spaces, see `space_maps`
    """

    model: Model
    about: Mapping[str, Any] = field(default_factory=dict)
    maps: Maps = field(default_factory=dict)


def align_to(model: Model, reference: Artifact) -> SpacedModel:
    """The model, rotated into the space of a reference, with the quality of the fit.

    Raises SettingsError for models without vectors, and as `align_model`.
    """
    if not isinstance(model, VectorModel):
        raise SettingsError(f"{model.recipe.name} has no vectors to align; leave --align out")
    aligned, fit = align_model(model, load_vector_model(reference))
    about = {
        "space": space_of(reference),
        "aligned": round(fit.mean, 4),
        "alignment": {**fit.numbers, "with": provenance(reference)},
    }
    return SpacedModel(aligned, about, load_maps(reference))


def keep_frozen(model: Model, start: Artifact) -> SpacedModel:
    """A model that was extended by new items: it is in the space of the one that it extends."""
    return SpacedModel(model, {"space": space_of(start), "frozen": True}, load_maps(start))


def place_in_space(model: Model, start: WarmStart | None, report: Report = quiet) -> SpacedModel:
    """A trained model, in the space of the model that it continues with `start.space`, or in one of its own.

    In a space of its own it has maps into that of the model that it continues. Raises as `align_to`, unless the start
    allows another space.
    """
    if start is not None and start.space == "align" and (start.must_keep or _can_rotate(model)):
        try:
            return align_to(model, start.model)
        except SettingsError as e:
            if start.must_keep:
                raise
            report("note", message=f"model {start.model.name} starts a new space: {e}")
    if start is None or not isinstance(model, VectorModel):
        return SpacedModel(model)
    return SpacedModel(model, maps=maps_of_new_space(model, load_vector_model(start.model), start.model))


def _can_rotate(model: Model) -> bool:
    return isinstance(model, VectorModel) and isinstance(model.recipe, RotatableRecipe)


def align_artifact(source: Artifact, reference: Artifact, folder: Path) -> Artifact:
    """Write the model `source`, rotated into the space of the model `reference`, as the artifact `folder`.

    Raises SettingsError if it is in that space already, and as `align_to`.
    """
    artifacts.check_place(folder)
    if space_of(source) == space_of(reference):
        raise SettingsError(
            f"models {source.name} and {reference.name} are in the same space ({short(space_of(source))}) already"
        )
    placed = align_to(load_vector_model(source), reference)
    about = {key: value for key, value in source.about.items() if key not in ("frozen", "maps", "parts", "arrays")}
    save_model(placed.model, folder, {**about, **placed.about}, made_from=source, maps=placed.maps)
    return artifacts.read(folder, "model")


def item_vectors(source: Artifact, space: str | None = None) -> Embeddings:
    """The item vectors of a model artifact, or rotated into an older space, see `in_space`."""
    model = load_vector_model(source)
    return (model if space is None else in_space(model, source, space)[0]).embeddings
