"""Settings that all variants of session kNN share, and the defaults of what a variant overrides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embedrec.config import build
from embedrec.errors import SettingsError
from embedrec.kernels.session_formulas import KnnFormula
from embedrec.models.session_knn.settings import CANDIDATES, SessionKnnSettings
from embedrec.models.session_knn.store import SessionStore
from tests.conftest import tiny_sessions


class Plain(SessionKnnSettings):
    """A variant that overrides nothing but its formula."""

    name = "plain"

    def formula(self) -> KnnFormula:
        return KnnFormula(self.neighbours, self.sample)


def test_defaults() -> None:
    recipe = Plain()
    assert (recipe.neighbours, recipe.sample, recipe.candidates, recipe.dim) == (100, 1000, "lists", 256)
    assert recipe.order == "last"
    assert not (recipe.draws or recipe.followers_only or recipe.fills)
    assert [recipe.includes_seen(exclude_seen) for exclude_seen in (False, True)] == [True, False]
    assert recipe.factors(recipe.store(tiny_sessions()), np.ones(6)).shape == (0,)
    assert recipe.nearness(7).shape == (0,)


def test_the_number_of_candidates() -> None:
    assert Plain(sample=7).candidate_count == 7
    assert Plain(sample=0).candidate_count == CANDIDATES == 1000


def test_sessions_that_can_be_neighbours() -> None:
    store = Plain().store(tiny_sessions())
    assert store.numbers.tolist() == list(range(12)) and Plain().eligible(store) is None
    mask = np.array([1, 0] * 6, dtype=np.uint8)
    some = SessionStore(store.offsets, store.items, store.numbers, eligible=mask)
    assert Plain().eligible(some).tolist() == [True, False] * 6  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"neighbours": 0}, "neighbours must be at least 1, but is 0"),
        ({"sample": -1}, "sample must be a number of sessions, or 0 for all, but is -1"),
        ({"dim": 0}, "dim must be between 1 and 65536, but is 0"),
        ({"dim": 65537}, "dim must be between 1 and 65536, but is 65537"),
        ({"candidates": "all"}, "candidates must be one of lists, ann, but is 'all'"),
    ],
)
def test_invalid_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        Plain(**settings)
    assert str(error.value) == message


def test_a_variant_needs_a_formula() -> None:
    with pytest.raises(TypeError, match="abstract"):
        SessionKnnSettings()  # type: ignore[abstract]
    assert build(Plain, {"neighbours": 3}, source="the tests") == Plain(3)
