"""Alignment of models: the same model after a rotation of its space into that of a reference.

Orthogonal Procrustes (Schönemann 1966), as post-processing of a finished model: Netflix 2025 ("Orthogonal Low Rank
Embedding Stabilization"). Queries rotate with the items, so that no score changes.
"""

from __future__ import annotations

from typing import Protocol, TypeVar, runtime_checkable

import numpy as np

from embedrec.errors import SettingsError
from embedrec.models.base import Arrays
from embedrec.models.vector_model import VectorModel
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.procrustes import AlignmentFit, fit_rotation

M = TypeVar("M", bound=VectorModel)


@runtime_checkable
class RotatableRecipe(Protocol):
    """A recipe whose models can be rotated; every recipe of a `VectorModel` is one."""

    def rotated(self, arrays: Arrays, rotation: np.ndarray) -> Arrays:
        """The arrays of a model of this recipe after a rotation (d, d) of its items and queries.

        All scores stay the same, and so do arrays that do not depend on the space.
        """
        ...


def rotate_model(model: M, rotation: np.ndarray) -> M:
    """The same model in another space: a vector v becomes v @ rotation, (d, d) orthogonal."""
    if not isinstance(model.recipe, RotatableRecipe):
        raise SettingsError(f"{model.recipe.name} has vectors that cannot be rotated; leave the alignment out")
    rotated = model.recipe.rotated(model.arrays, rotation)
    return model.recipe.from_arrays(model.vocab, rotated)  # type: ignore[return-value]


def align_model(
    model: M, reference: VectorModel | Embeddings, counts: np.ndarray | None = None
) -> tuple[M, AlignmentFit]:
    """The same model, rotated into the space of a reference by the common items.

    reference  a model, or item vectors
    counts     (n,) weights of the model's items; None uses the mentions of an item, the fewer of both models

    Recommendations, neighbours and their scores stay the same. Raises SettingsError as `fit_rotation`.
    """
    onto = reference.embeddings if isinstance(reference, VectorModel) else reference
    fit = fit_rotation(model.embeddings, onto, common_counts(model.embeddings, onto) if counts is None else counts)
    return rotate_model(model, fit.rotation), fit


def common_counts(vectors: Embeddings, reference: Embeddings) -> np.ndarray:
    """Weights of the items of `vectors` in an alignment: (n,) mentions, the fewer of both; 1 if neither has any."""
    counts = vectors.vocab.counts
    if reference.vocab.counts is None:
        return np.ones(len(vectors)) if counts is None else counts
    rows = reference.vocab.rows_of(vectors.vocab.ids)
    others = np.where(rows >= 0, reference.vocab.counts[rows], 0)
    return others if counts is None else np.minimum(counts, others)
