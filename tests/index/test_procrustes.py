"""Vectors of another training rotated into the space of an index."""

from __future__ import annotations

import numpy as np
import pytest

from embedrec.errors import SettingsError
from embedrec.index.procrustes import align_embeddings
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.exact_search import METRICS
from tests.conftest import some_embeddings


def rotated(embeddings: Embeddings) -> Embeddings:
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(embeddings.dim, embeddings.dim)))[0]
    return Embeddings((embeddings.vectors @ turn).astype(np.float32), embeddings.vocab, embeddings.metric)


@pytest.mark.parametrize("metric", METRICS)
def test_a_rotation_is_undone_by_the_common_items(metric: str) -> None:
    """A rotation is undone, by the common items alone; among themselves vectors stay as they are."""
    old = some_embeddings(80, 6, metric, spread=0.4)
    new = rotated(old)
    part = Embeddings(new.vectors[40:], new.vocab.take(np.arange(40, 80)), old.metric)
    back, fit = align_embeddings(part, old)
    np.testing.assert_allclose(back.vectors, old.vectors[40:], atol=2e-5)
    assert fit == pytest.approx(1)
    noisy = Embeddings(new.vectors + 0.3 * some_embeddings(80, 6, seed=9).vectors, old.vocab, old.metric)
    aligned, fit = align_embeddings(noisy, old)
    assert 0.8 < fit < 0.99
    np.testing.assert_allclose(aligned.vectors @ aligned.vectors.T, noisy.vectors @ noisy.vectors.T, atol=1e-3)


def test_vectors_without_a_common_space_are_refused() -> None:
    old = some_embeddings(20, 6)
    with pytest.raises(SettingsError, match="the index has 6 dimensions, but these vectors have 5"):
        align_embeddings(some_embeddings(20, 5), old)
    few = Embeddings(old.vectors[:5], old.vocab.take(np.arange(5)), "cosine")
    with pytest.raises(SettingsError, match="5 common items do not determine a rotation in 6 dimensions; add vectors"):
        align_embeddings(few, old)
