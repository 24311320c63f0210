"""What is known of a model before it is trained is true of it when it is."""

from __future__ import annotations

import pytest

from embedrec.experiments.validate import model_class
from embedrec.models import MODELS
from tests.models.test_contract import made


@pytest.mark.parametrize("name", list(MODELS))
def test_what_a_recipe_will_make(name: str) -> None:
    model = made(name, {})
    assert isinstance(model, model_class(model.recipe))  # type: ignore[arg-type]
    assert model_class(model.recipe).__mro__[:-1] == type(model).__mro__[:-1]  # type: ignore[arg-type]
