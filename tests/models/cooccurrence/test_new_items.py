"""New items of spectral embeddings against the same formula on a dense matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embedrec import Spectral
from embedrec.errors import SettingsError
from embedrec.models.frozen import extend_frozen
from embedrec.models.pair_counts import PairCounting, one_mention
from embedrec.progress import quiet
from tests.models.test_frozen import sessions_with_new_items
from tests.training.toy import clustered_sessions


@pytest.mark.parametrize("settings", [{}, {"power": 0.5, "window": 2}, {"matrix": "ppmi", "power": 1.0}])
def test_new_items_equal_a_projection_onto_the_eigenvectors(settings: Any) -> None:
    recipe = Spectral(dim=5, min_count=1, **settings)
    model, sessions = recipe.fit(clustered_sessions()), sessions_with_new_items()
    extended = extend_frozen(model, sessions)
    old = model.vocab.rows_of(extended.vocab.ids)
    n, new = len(old), old < 0
    counted = one_mention(sessions.reindex(extended.vocab), np.arange(n), recipe.window)
    pairs = PairCounting(*recipe.pair_formula(counted), 1, quiet).all_pairs()
    dense = np.zeros((n, n))
    for item in range(n):
        for place in range(pairs.starts[item], pairs.ends[item]):
            dense[item, pairs.rows[place]] = dense[pairs.rows[place], item] = pairs.values[place]
    scaled = model.arrays["items"].astype(np.float64)  # V · Λ^p
    powers = np.linalg.norm(scaled, axis=0)  # λ^p, as V is orthonormal
    vectors = np.zeros((n, recipe.dim))
    vectors[~new] = scaled[old[~new]]
    for _ in range(2):
        vectors[new] = dense[new] @ vectors / powers ** (1 / recipe.power)
    np.testing.assert_allclose(extended.arrays["items"][new], vectors[new], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("settings", [{"power": 0.0}, {"contexts": 0.5}])
def test_vectors_without_eigenvalues_are_refused(settings: Any) -> None:
    model = Spectral(dim=5, min_count=1, **settings).fit(clustered_sessions())
    given = "=".join(f"{name}={value:g}" for name, value in settings.items())
    with pytest.raises(SettingsError, match=f"svd with {given} keeps no eigenvalues to solve new items with; use"):
        extend_frozen(model, sessions_with_new_items())
