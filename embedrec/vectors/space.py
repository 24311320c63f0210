"""The space of vectors: only vectors of the same space may be compared.

A training starts a space of its own, whose id is the fingerprint of its model. A model that is aligned with another
one, or that keeps its vectors, is in the space of that one, and so is an index of the model.
"""

from __future__ import annotations

from embedrec.errors import SettingsError
from embedrec.storage.artifacts import Artifact

_SHOWN = 12  # characters of an id in messages


def space_of(artifact: Artifact) -> str:
    """The id of the space of a model, or of an index of a model: equal ids, vectors that may be compared."""
    named = artifact.about.get("space")
    indexed = artifact.about.get("indexed") if artifact.kind == "index" else None
    return str(named or (indexed or {}).get("fingerprint") or artifact.fingerprint)


def check_same_space(one: Artifact, other: Artifact, remedy: str) -> None:
    """Raises SettingsError, with a remedy, if the vectors of two artifacts are in different spaces."""
    check_space(other, space_of(one), f"{one.kind} {one.name}", remedy)


def check_space(artifact: Artifact, space: str, what: str, remedy: str) -> None:
    """Raises SettingsError, with a remedy, if an artifact is in another space than `what`, which is in `space`."""
    own = space_of(artifact)
    if own != space:
        raise SettingsError(
            f"{what} and {artifact.kind} {artifact.name} are in different spaces ({short(space)} and {short(own)}), so "
            f"that their vectors cannot be compared; {remedy}"
        )


def short(space: str) -> str:
    """The first characters of the id of a space, for messages."""
    return space[:_SHOWN]
