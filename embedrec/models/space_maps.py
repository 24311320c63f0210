"""Maps of a model into older spaces: a rotation for each, which is stored with a model that starts a new space.

A model that is continued without alignment starts a space of its own. The rotation into that of its predecessor,
composed with the predecessor's maps, still serves the older ones: Hu et al. 2022 ("Learning Backward Compatible
Embeddings").
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from embedrec.errors import ArtifactError, SettingsError
from embedrec.models.alignment import common_counts, rotate_model
from embedrec.models.vector_model import VectorModel
from embedrec.storage.artifacts import Artifact
from embedrec.vectors.procrustes import compose, fit_rotation
from embedrec.vectors.space import short, space_of

M = TypeVar("M", bound=VectorModel)
Maps = Mapping[str, np.ndarray]  # space → rotation (d, d) float32 into it, the newest first
NO_MAPS: Maps = MappingProxyType({})
ARRAY = "maps"  # the file of an artifact: (m, d, d), in the order of `about["maps"]`
MOST_MAPS = 8  # of a model; older spaces are forgotten


def load_maps(artifact: Artifact) -> Maps:
    """The maps of a model artifact. Raises ArtifactError if they do not fit its description."""
    spaces = artifact.about.get("maps", [])
    if not spaces:
        return NO_MAPS
    rotations = artifact.array(ARRAY, "float32")
    if rotations.ndim != 3 or len(rotations) != len(spaces) or rotations.shape[1] != rotations.shape[2]:
        raise ArtifactError(
            f"{artifact.folder} names {len(spaces)} spaces, but its maps are {rotations.shape}; train it again"
        )
    return dict(zip(spaces, rotations, strict=True))


def maps_of_new_space(model: VectorModel, predecessor: VectorModel, artifact: Artifact) -> Maps:
    """The maps of a model that starts a new space: into that of its predecessor, and on into older ones.

    artifact  of the predecessor

    There are none if the common items do not determine a rotation, see `fit_rotation`.
    """
    onto = predecessor.embeddings
    try:
        fit = fit_rotation(model.embeddings, onto, common_counts(model.embeddings, onto))
    except SettingsError:
        return NO_MAPS
    maps = {space_of(artifact): fit.rotation.astype(np.float32)}
    maps |= {space: compose(fit.rotation, rotation) for space, rotation in load_maps(artifact).items()}
    return dict(list(maps.items())[:MOST_MAPS])


def in_space(model: M, source: Artifact, given: str) -> tuple[M, str]:
    """The model of the artifact `source` in a space that it has a map into, and the id of that space.

    given  the id, or its beginning

    Raises SettingsError, with the spaces that there are, for any other.
    """
    maps = load_maps(source)
    known = [space_of(source), *maps]
    matching = [space for space in known if given and space.startswith(given)]
    if len(matching) != 1:
        what = "belongs to several" if matching else "is none"
        raise SettingsError(
            f"{given!r} {what} of the spaces that model {source.name} can serve; name one of "
            f"{', '.join(map(short, known))}"
        )
    space = matching[0]
    return (model if space == known[0] else rotate_model(model, maps[space])), space
