"""The search spaces of recipes: every bound and choice is a valid setting."""

from __future__ import annotations

import pytest

from embedrec.config import build
from embedrec.errors import SettingsError
from embedrec.models import MODELS, recipe_class
from embedrec.tune.search_space import Choices, Range, own_space, space_of

WITHOUT = {name for name in MODELS if not hasattr(recipe_class(name), "SPACE")}


@pytest.mark.parametrize("model", [name for name in MODELS if name not in WITHOUT])
def test_every_end_is_allowed(model: str) -> None:
    cls = recipe_class(model)
    space = space_of(cls, own_space(cls))
    default = cls()
    for key, where in space.items():
        for value in where.values if isinstance(where, Choices) else (where.low, where.high):
            assert getattr(build(cls, {key: value}, given="x"), key) == value
        own = getattr(default, key)
        if own is not None:  # what holds without a search is among what is looked at
            assert own in where.values if isinstance(where, Choices) else where.low <= own <= where.high, key
        assert not isinstance(where, Range) or where.low < where.high


@pytest.mark.parametrize("model", sorted(WITHOUT))
def test_the_others_declare_none(model: str) -> None:
    with pytest.raises(SettingsError, match=f"{model} declares no search space; pass one"):
        own_space(recipe_class(model))
