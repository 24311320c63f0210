from __future__ import annotations

import json
import re
import sys
import tomllib
from dataclasses import dataclass, fields, replace
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from pkgutil import walk_packages
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import embedrec
from embedrec import config
from embedrec.config import (
    build,
    check_bounds,
    check_choices,
    check_seed,
    parse_pairs,
    read_toml,
    settings_of,
    table,
    to_toml,
)
from embedrec.data.filters import Filters
from embedrec.errors import SettingsError
from embedrec.models import MODELS, SAVED_MODELS, recipe_class, settings_class
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.splitting.rules import SPLITS


@dataclass(frozen=True)
class Settings:
    dim: int = 64
    alpha: float = 0.025
    ordered: bool = True
    side: Literal["input", "output"] = "input"
    note: str = ""
    top: int | None = None


@given(
    st.builds(
        Settings,
        dim=st.integers(),
        alpha=st.floats(allow_nan=False, allow_infinity=False),
        ordered=st.booleans(),
        side=st.sampled_from(["input", "output"]),
        note=st.text(st.characters(exclude_categories=["Cs"])),
        top=st.none() | st.integers(),
    )
)
def test_settings_are_equal_after_a_dict_and_toml(original: Settings) -> None:
    assert build(Settings, settings_of(original), source="a manifest") == original
    read = tomllib.loads(to_toml(original, "train", "x"))
    if abs(original.dim) < 2**63 and abs(original.top or 0) < 2**63:  # TOML guarantees integers of 64 bits only
        assert build(Settings, table(read, "train", "x"), source="a file") == original


@given(st.integers(), st.floats(allow_nan=False), st.booleans())
def test_strings_are_converted_to_the_type_of_the_field(dim: int, alpha: float, ordered: bool) -> None:
    pairs = parse_pairs([f"dim={dim}", f"alpha = {alpha}", f"ordered={ordered}", "top=none"])
    assert build(Settings, pairs, source="--set") == Settings(dim, alpha, ordered)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("dim", "many", "must be a whole number, but is 'many'"),
        ("dim", 1.5, "must be a whole number, but is 1.5"),
        ("dim", float("inf"), "must be a whole number, but is inf"),
        ("dim", float("nan"), "must be a whole number, but is nan"),
        ("dim", True, "must be a whole number, but is True"),
        ("dim", None, "must be a whole number, but is None"),
        ("dim", [1], "must be a whole number"),
        ("dim", "9" * 5000, "must be a whole number"),
        ("alpha", "fast", "must be a number, but is 'fast'"),
        ("alpha", 10**400, "must be a number"),
        ("alpha", False, "must be a number, but is False"),
        ("alpha", {"a": 1}, "must be a number"),
        ("ordered", "yes", "must be true or false, but is 'yes'"),
        ("ordered", 1, "must be true or false, but is 1"),
        ("side", "inputs", "must be one of input, output; did you mean 'input'?"),
        ("side", ["input"], "must be one of input, output"),
        ("note", 5.5, "must be a string, but is 5.5"),
        ("note", True, "must be a string, but is True"),
        ("top", "some", "must be a whole number, but is 'some'"),
        ("top", [], "must be a whole number"),
        ("dims", 5, "unknown setting 'dims' in here; did you mean 'dim'?"),
        ("zzz", 5, "unknown setting 'zzz' in here; valid are dim, alpha, ordered, side, note, top"),
        ("", 5, "unknown setting ''"),
    ],
)
def test_messages_name_the_invalid_setting(key: str, value: Any, message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        build(Settings, {key: value}, source="here")
    assert message in str(raised.value)
    assert key in str(raised.value) and "here" in str(raised.value)


def test_integral_floats_are_accepted_as_integers() -> None:
    assert build(Settings, {"dim": 5.0, "alpha": 1}, source="here") == Settings(dim=5, alpha=1.0)
    assert isinstance(build(Settings, {"dim": 5.0}, source="here").dim, int)


def test_integers_are_accepted_as_strings() -> None:
    assert build(Settings, {"note": 16}, source="here") == Settings(note="16")


def test_pairs_are_split_at_the_first_equals_sign() -> None:
    assert parse_pairs(["a=b=c", " d = e "]) == {"a": "b=c", "d": "e"}
    with pytest.raises(SettingsError, match=r"'epochs' has no '='"):
        parse_pairs(["epochs"])


@pytest.mark.parametrize("text", ["a = ", "[a", "a = 1\na = 2", "x = " + "[" * 5000])
def test_invalid_toml_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(SettingsError, match="is not valid TOML"):
        read_toml(tmp_path / "c.toml")


def test_unreadable_settings_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no settings file"):
        read_toml(tmp_path / "c.toml")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_toml(tmp_path)
    (tmp_path / "c.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="is not valid TOML"):
        read_toml(tmp_path / "c.toml")


def test_nested_tables_are_read() -> None:
    tables = {"train": {"word2vec": {"dim": 5}, "popular": 7}, "x": 1}
    assert table(tables, "train", "word2vec") == {"dim": 5}
    assert table(tables, "train", "mf") == table(tables, "serve", "http") == {}
    with pytest.raises(SettingsError, match=r"\[train.popular\] must be a table, but is 7"):
        table(tables, "train", "popular")
    with pytest.raises(SettingsError, match=r"\[x\] must be a table"):
        table(tables, "x", "word2vec")


@pytest.mark.parametrize("name", list(MODELS))
def test_every_recipe_equals_the_one_read_from_its_toml(name: str) -> None:
    recipe = recipe_class(name)()
    read = tomllib.loads(to_toml(recipe, "train", name))
    assert build(type(recipe), table(read, "train", name), source="its own TOML") == recipe
    assert replace(recipe) == recipe


def test_unknown_models_are_refused() -> None:
    with pytest.raises(SettingsError, match="no model is called 'wordvec'; did you mean 'word2vec'"):
        recipe_class("wordvec")
    with pytest.raises(SettingsError, match="valid are word2vec"):
        settings_class("42")
    assert set(MODELS) < set(SAVED_MODELS)
    assert all(settings_class(name).name == name for name in SAVED_MODELS)


@dataclass(frozen=True)
class Inner:
    name: str
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    sizes: tuple[int, ...]
    parts: tuple[Inner, ...] = ()
    counts: dict[str, int] | None = None
    anything: Any = None


def test_lists_tables_and_nested_dataclasses_are_built() -> None:
    values = {
        "sizes": [1, "2"],
        "parts": [{"name": "a"}, {"name": "b", "share": 1}],
        "counts": {"x": 3},
        "anything": [1],
    }
    assert build(Outer, values, source="f") == Outer((1, 2), (Inner("a"), Inner("b", 1.0)), {"x": 3}, [1])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "the setting 'sizes' is missing in f"),
        ({"sizes": 3}, "setting 'sizes' in f must be a list, but is 3"),
        ({"sizes": [1.5]}, "setting 'sizes' in f must be a whole number, but is 1.5"),
        ({"sizes": [], "counts": 3}, "setting 'counts' in f must be a table, but is 3"),
        ({"sizes": [], "parts": [3]}, "setting 'parts' in f must be a table, but is 3"),
        ({"sizes": [], "parts": [{}]}, "the setting 'name' is missing in 'parts' of f"),
        ({"sizes": [], "parts": [{"nme": "x"}]}, "unknown setting 'nme' in 'parts' of f; did you mean 'name'?"),
    ],
)
def test_invalid_lists_and_tables_are_refused(values: dict, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        build(Outer, values, source="f")
    assert str(error.value) == message


@given(st.none() | st.integers() | st.floats(), st.integers(-5, 5), st.integers(0, 5) | st.just(2**31))
def test_only_values_within_bounds_are_accepted(value: Any, low: int, width: int) -> None:
    candidate = Settings(top=value)
    if value is None or value in (low, low + width) or low < value < low + width:
        check_bounds(candidate, {"top": (low, low + width)})
    else:
        with pytest.raises(SettingsError, match=r"^top must be (at least|between) .*, but is "):
            check_bounds(candidate, {"top": (low, low + width)})


@pytest.mark.parametrize(
    ("value", "bounds", "message"),
    [
        (0, (1, 65536), "alpha must be between 1 and 65536, but is 0"),
        (2.0, (1e-9, 1), "alpha must be between 1e-09 and 1, but is 2.0"),
        (float("nan"), (0, 1), "alpha must be between 0 and 1, but is nan"),
        (-1, (0, 2**31 - 1), "alpha must be between 0 and 2.14748e+09, but is -1"),
        (-1, (0, 2**31), "alpha must be at least 0, but is -1"),
        (float("nan"), (1e-6, float("inf")), "alpha must be at least 1e-06, but is nan"),
        (float("inf"), (1, sys.float_info.max), "alpha must be at least 1, but is inf"),
    ],
)
def test_messages_name_numbers_out_of_bounds(value: float, bounds: tuple[float, float], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        check_bounds(Settings(alpha=value), {"dim": (1, 64), "top": (1, 2), "alpha": bounds})
    assert str(error.value) == message


def test_messages_name_the_first_number_out_of_bounds() -> None:
    with pytest.raises(SettingsError, match=r"^top must be at least 1, but is 0$"):
        check_bounds(Settings(top=0, dim=0), {"top": (1, float("inf")), "dim": (1, 2)})
    check_bounds(Settings(top=0, dim=0), {})


@pytest.mark.parametrize("value", ["inputs", "", None, 5])
def test_values_outside_the_choices_are_refused(value: Any) -> None:
    choices = {"side": ("input", "output")}
    check_choices(Settings(side="output", note="anything"), choices)
    with pytest.raises(SettingsError) as error:
        check_choices(Settings(side=value), choices)
    assert str(error.value) == f"side must be one of input, output, but is {value!r}"


# ---------------------------------------------------------------------------------------------- types of settings


def settings_classes() -> list[type[Any]]:
    """Every class of settings of the package, the registered ones included."""
    for _, name, _ in walk_packages(embedrec.__path__, "embedrec."):
        if name not in ("embedrec.__main__",) and "kernels" not in name:
            import_module(name)
    results: list[type[Any]] = []
    waiting: list[type[Any]] = [config.Settings]
    while waiting:
        for cls in waiting.pop().__subclasses__():
            waiting.append(cls)
            if cls.__module__.startswith("embedrec.") and not isabstract(cls) and not cls.__name__.startswith("_"):
                results.append(cls)
    return results


WRONG: dict[Any, list[Any]] = {
    int: [1.5, "64", True, [3], float("nan"), float("inf"), None],
    float: ["0.5", True, [0.5], None],
    bool: [1, 0, "true", None],
    str: [1.5, True, ["a"], None],
}


def test_every_recipe_and_split_is_a_class_of_settings() -> None:
    assert {*map(settings_class, SAVED_MODELS), *SPLITS.values()} <= set(settings_classes())


def test_settings_of_other_types_are_refused() -> None:
    for cls in settings_classes():
        hints = get_type_hints(cls)
        for field in fields(cls):
            kind = hints[field.name]
            choices = [k for k in get_args(kind) if k is not type(None)]
            optional = len(choices) < len(get_args(kind))
            wrong = WRONG.get(choices[0] if optional else kind)
            if get_origin(kind) is Literal:
                wrong = ["no such choice", 5, None]
            for value in wrong or []:
                if value is None and optional:
                    continue
                with pytest.raises(SettingsError, match=rf"^{field.name} must be .*, but is {re.escape(repr(value))}$"):
                    cls(**{field.name: value})


def test_numpy_scalars_become_python_values() -> None:
    recipe = Word2Vec(dim=np.int64(32), epochs=3.0, alpha=np.float32(0.5), ordered=np.bool_(False))  # type: ignore[arg-type]
    assert json.loads(json.dumps(settings_of(recipe))) == settings_of(
        replace(Word2Vec(), dim=32, epochs=3, alpha=0.5, ordered=False)
    )
    assert Filters(kinds=["click", "buy"]).kinds == ("click", "buy")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"dim = " + b"9" * 5000, "is not valid TOML: Exceeds the limit"),
        (b"dim = " + b"[" * 5000, "is not valid TOML"),
        (b"dim = " + b"[" * 300 + b"]" * 300, "nests tables or lists more than 50 levels deep"),
        (b"a." * 700 + b"b = 1", "nests tables or lists more than 50 levels deep"),
        (b"a = " + b"{b = [" * 60 + b"]}" * 60, "nests tables or lists more than 50 levels deep"),
        (b"\xff", "is not valid TOML"),
        (b"\0", "is not valid TOML"),
    ],
)
def test_extreme_toml_is_refused_with_one_sentence(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_bytes(content)
    with pytest.raises(SettingsError, match=message):
        read_toml(tmp_path / "s.toml")


def test_tables_nested_48_levels_deep_are_read(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("a." * 48 + "b = [1]")
    assert read_toml(tmp_path / "s.toml")["a"]["a"]


def test_a_byte_order_mark_before_toml_is_ignored(tmp_path: Path) -> None:
    """Notepad writes one before text."""
    (tmp_path / "x.toml").write_bytes(b"\xef\xbb\xbf[train.word2vec]\r\ndim = 8\r\n")
    assert read_toml(tmp_path / "x.toml") == {"train": {"word2vec": {"dim": 8}}}


@pytest.mark.parametrize("seed", [True, 1.0, "1", None, -1, 2**63])
def test_invalid_seeds_are_refused(seed: Any) -> None:
    with pytest.raises(SettingsError, match=r"^seed in small\.toml must be a whole number from 0 to "):
        check_seed(seed, " in small.toml")


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1])
def test_valid_seeds_are_accepted(seed: int) -> None:
    check_seed(seed)


def test_recipes_have_the_parameters_of_scikit_learn() -> None:
    from sklearn.base import clone
    from sklearn.model_selection import ParameterGrid

    from embedrec.models import MODELS, recipe_class

    for name in MODELS:
        recipe = recipe_class(name)()
        assert clone(recipe) == recipe and set(recipe.get_params(deep=False)) == set(settings_of(recipe))
    recipe = recipe_class("word2vec")(dim=8)
    grid = [recipe.set_params(**params) for params in ParameterGrid({"dim": [16, 32], "epochs": [1, 2]})]
    assert [(one.dim, one.epochs) for one in grid] == [(16, 1), (16, 2), (32, 1), (32, 2)] and recipe.dim == 8
    with pytest.raises(SettingsError, match="unknown setting 'epoch' in set_params of Word2Vec; did you mean 'epochs'"):
        recipe.set_params(epoch=3)
