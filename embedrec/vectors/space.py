"""The space of vectors: only vectors of the same space may be compared.

A training starts a space of its own, whose id is the fingerprint of its model. A model that is aligned with another
one, or that keeps its vectors, is in the space of that one, and so is an index of the model.
"""

from __future__ import annotations

from embedrec.storage.artifacts import Artifact

_SHOWN = 12  # characters of an id in messages


def space_of(artifact: Artifact) -> str:
    """The id of the space of a model, or of an index of a model: equal ids, vectors that may be compared."""
    named = artifact.about.get("space")
    indexed = artifact.about.get("indexed") if artifact.kind == "index" else None
    return str(named or (indexed or {}).get("fingerprint") or artifact.fingerprint)


def short(space: str) -> str:
    """The first characters of the id of a space, for messages."""
    return space[:_SHOWN]
