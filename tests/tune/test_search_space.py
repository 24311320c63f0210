"""Search spaces parsed from text, and messages for invalid ones."""

from __future__ import annotations

import pytest

from embedrec.config import build
from embedrec.errors import SettingsError
from embedrec.models import MODELS, recipe_class
from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
from embedrec.models.session_knn.variants import VSKNN
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.tune.search_space import Choices, Range, own_space, space_of

WITHOUT = {name for name in MODELS if not hasattr(recipe_class(name), "SPACE")}


def test_ranges_and_choices_take_the_type_of_the_setting() -> None:
    space = space_of(
        Word2Vec,
        {"dim": "16..256 log", "alpha": "1e-3..0.1", "epochs": "5,10", "ordered": "true,false", "ns_exponent": "-1..1"},
    )
    assert space == {
        "dim": Range(16, 256, True),
        "alpha": Range(0.001, 0.1),
        "epochs": Choices((5, 10)),
        "ordered": Choices((True, False)),
        "ns_exponent": Range(-1.0, 1.0),
    }
    assert [r.whole for r in space.values() if isinstance(r, Range)] == [True, False, False]
    assert space_of(VSKNN, {"decay": "div, log"}) == {"decay": Choices(("div", "log"))}
    assert space_of(Cooccurrence, {"shrinkage": ".5..20"}) == {"shrinkage": Range(0.5, 20.0)}  # None or a number


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("dmi", "1..2", "unknown setting 'dmi' in the space of word2vec; did you mean 'dim'?"),
        ("dim", "", "the space of dim must look like 1..100, 1e-4..0.1 log, or a,b,c, but is ''"),
        ("dim", "1..", "the space of dim must look like 1..100, 1e-4..0.1 log, or a,b,c, but is '1..'"),
        ("dim", "5..5", "the space of dim must increase, but is '5..5'"),
        ("alpha", "0..1 log", "the space of alpha must increase from above 0, but is '0..1 log'"),
        ("dim", "1.5..3", "dim is a whole number, so both ends of its space must be, but it is '1.5..3'"),
        ("dim", "8,x", "setting 'dim' in the space must be a whole number, but is 'x'"),
        ("dim", "8,0", "dim must be "),
        (
            "architecture",
            "1..2",
            "architecture is not a number, so its space must be a list such as a,b,c, but",
        ),
        ("architecture", "cbow,bow", "setting 'architecture' in the space is 'bow', but must be one of"),
    ],
)
def test_invalid_spaces_are_refused(key: str, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        space_of(Word2Vec, {key: text})
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("model", [name for name in MODELS if name not in WITHOUT])
def test_bounds_and_choices_of_every_recipe_are_valid(model: str) -> None:
    cls = recipe_class(model)
    space = space_of(cls, own_space(cls))
    default = cls()
    for key, values in space.items():
        for value in values.values if isinstance(values, Choices) else (values.low, values.high):
            assert getattr(build(cls, {key: value}, source="x"), key) == value
        setting = getattr(default, key)
        if setting is not None:  # the default is in the space
            assert setting in values.values if isinstance(values, Choices) else values.low <= setting <= values.high, (
                key
            )
        assert not isinstance(values, Range) or values.low < values.high


@pytest.mark.parametrize("model", sorted(WITHOUT))
def test_recipes_without_a_space_need_a_given_one(model: str) -> None:
    with pytest.raises(SettingsError, match=f"{model} declares no search space; pass one"):
        own_space(recipe_class(model))
