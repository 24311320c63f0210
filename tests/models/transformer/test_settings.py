"""Settings of the self-attentive model."""

from __future__ import annotations

from typing import Any

import pytest

from embedrec.errors import SettingsError
from embedrec.models.transformer.recipe import SASRec


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dim": 0}, "dim must be between 1 and 65536, but is 0"),
        ({"heads": 3}, "heads must divide dim, but 3 does not divide 128"),
        ({"temperature": 0.0}, "temperature must be at least 1e-06, but is 0.0"),
        ({"logq": 2.0}, "logq must be between 0 and 1, but is 2.0"),
        ({"loss": "hinge"}, "loss must be one of softmax, gbce, but is 'hinge'"),
        ({"history": 0}, "history must be between 1 and 10000, but is 0"),
    ],
)
def test_settings_that_are_not_allowed(settings: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        SASRec(**settings)


def test_units_follow_the_dimension() -> None:
    assert SASRec(dim=10).units == 20 and SASRec(hidden=7).units == 7
