"""The class of a model, known before training, is that of the trained model."""

from __future__ import annotations

import pytest

from embedrec.experiments.validate import model_class
from embedrec.models import MODELS
from tests.models.test_contract import train


@pytest.mark.parametrize("name", list(MODELS))
def test_the_class_of_the_models_of_a_recipe(name: str) -> None:
    model = train(name, {})
    assert isinstance(model, model_class(model.recipe))  # type: ignore[arg-type]
    assert model_class(model.recipe).__mro__[:-1] == type(model).__mro__[:-1]  # type: ignore[arg-type]
