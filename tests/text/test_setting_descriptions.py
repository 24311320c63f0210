from __future__ import annotations

from dataclasses import dataclass, fields

import pytest

from embedrec.models import MODELS, recipe_class
from embedrec.text.setting_descriptions import describe_settings


@dataclass
class Base:
    """All of these.

    a     the first, which
          goes on
    b, c  two at once

    Raises nothing.
    """

    a: int = 1
    b: int = 2
    c: int = 3


@dataclass
class Derived(Base):
    """Some of them.

    b     another
    a, c  see `Base`
    x     no setting
    """

    d: int = 4


def test_entries_come_from_the_nearest_class_that_says_something() -> None:
    assert describe_settings(Derived) == {"a": "the first, which goes on", "b": "another", "c": "two at once", "d": ""}


@pytest.mark.parametrize("model", list(MODELS))
def test_every_setting_of_every_model_is_described(model: str) -> None:
    recipe = recipe_class(model)
    texts = describe_settings(recipe)
    assert list(texts) == [f.name for f in fields(recipe)]
    assert all(texts.values()), [name for name, text in texts.items() if not text]
