"""Settings of two towers."""

from __future__ import annotations

from typing import Any

import pytest

from embedrec.errors import SettingsError
from embedrec.models.torch_recipe import parse_layers
from embedrec.models.two_tower.recipe import TwoTower


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dim": 0}, "dim must be between 1 and 65536, but is 0"),
        ({"temperature": 0.0}, "temperature must be at least 1e-06, but is 0.0"),
        ({"logq": 2.0}, "logq must be between 0 and 1, but is 2.0"),
        ({"loss": "hinge"}, "loss must be one of softmax, bce, but is 'hinge'"),
        (
            {"query_layers": "64,x"},
            "query_layers must be whole numbers as in \"128,64\", or empty for none, but is '64,x'",
        ),
        ({"item_layers": "0"}, "item_layers must be whole numbers"),
        ({"history": 0}, "a query needs a history or a user; set history above 0, or users=true"),
        ({"epochs": 0}, "epochs must be at least 1, but is 0"),
    ],
)
def test_settings_that_are_not_allowed(settings: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        TwoTower(**settings)
    assert parse_layers("128, 64", "query_layers") == [128, 64]
