"""Settings: dataclass fields from TOML tables and `key=value` texts.

A setting is written once, as a dataclass field; its name is the parameter, the TOML key, the `--set` key and what is
saved in the artifact.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from embedrec.errors import SettingsError, decoding, did_you_mean

T = TypeVar("T")
_DEEPEST = 50  # tables and lists in each other: deeper ones could overflow the stack of what walks through them


class Settings:
    """Base of a frozen dataclass of settings: the types of all fields are checked when one is made, see `check_types`.

    A subclass that checks more calls `super().__post_init__()` first.
    """

    def __post_init__(self) -> None:
        check_types(self)


def settings_of(recipe: Any) -> dict[str, Any]:
    """The settings of a dataclass instance as JSON values, in the order of the fields."""
    return dataclasses.asdict(recipe)


def build(cls: type[T], values: Mapping[str, Any], *, given: str) -> T:
    """An instance of the dataclass `cls` with these values over its defaults.

    values  field → value; texts are read as the field's type, so that `{"epochs": "5"}` works, and whole numbers as
            texts where those are meant, so that `{"layers": 16}` does
    given   where the values come from, for messages: "--set", "config.toml"

    Raises SettingsError for an unknown key (with the nearest valid one), a missing one, or a value of the wrong type.
    """
    hints = get_type_hints(cls)
    valid = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in values:
        if key not in valid:
            hint = did_you_mean(key, valid) or (f"; valid are {', '.join(valid)}" if valid else "; there are none")
            raise SettingsError(f"unknown setting {key!r} in {given}{hint}")
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        needed = field.default is field.default_factory is dataclasses.MISSING
        if needed and field.name not in values:
            raise SettingsError(f"the setting {field.name!r} is missing in {given}")
    return cls(**{key: _as(hints[key], value, key, given) for key, value in values.items()})


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises SettingsError when it is missing or no TOML."""
    with decoding(lambda why: SettingsError(f"{path} is not valid TOML: {why}")):
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            raise SettingsError(f"no settings file {path}; check the path") from None
        except OSError as e:
            raise SettingsError(f"the settings file {path} cannot be read ({e.strerror})") from e
    if _nested_beyond(tables, _DEEPEST):
        raise SettingsError(f"{path} nests tables or lists more than {_DEEPEST} deep; settings never do")
    return tables


def check_unicode(text: str, what: str) -> None:
    """Raises SettingsError for a text that UTF-8 cannot hold, as an argument of other bytes is; `what` names it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SettingsError(f"{what} must be UTF-8, but is {text!r}") from None


def _nested_beyond(tables: dict[str, Any], depth: int) -> bool:
    """Whether tables and lists lie in each other more than `depth` deep, found level by level, without recursion."""
    level: list[Any] = [tables]
    for _ in range(depth):
        values = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
        level = [value for value in values if isinstance(value, dict | list)]
    return bool(level)


def table(tables: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """The table `[a.b]` for `table(tables, "a", "b")`, or {} where there is none.

    Raises SettingsError when something else stands under that name.
    """
    nested: Any = tables
    for depth, key in enumerate(path, start=1):
        nested = nested.get(key, {})
        if not isinstance(nested, Mapping):
            raise SettingsError(f"[{'.'.join(path[:depth])}] must be a table, but is {nested!r}")
    return dict(nested)


def parse_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """`["epochs=5", "dim=32"]` → `{"epochs": "5", "dim": "32"}`. Raises SettingsError for a text without '='."""
    out = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise SettingsError(f"--set takes key=value, but {pair!r} has no '='")
        out[key.strip()] = value.strip()
    return out


def check_types(settings: Any) -> None:
    """Check that every field of a frozen dataclass instance holds what its annotation says.

    NumPy's numbers become Python's, whole floats become int where a whole number is meant, lists become tuples.
    Raises SettingsError, which names the setting, for a value of another type and for a text that is no choice.
    """
    for key, kind in _types_of(type(settings)).items():  # type: ignore[arg-type]
        value = getattr(settings, key)
        typed = _typed(kind, value, key)
        if typed is not value:
            object.__setattr__(settings, key, typed)


@cache
def _types_of(cls: type[Any]) -> dict[str, Any]:
    """The types of the fields of a dataclass."""
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _typed(kind: Any, value: Any, key: str) -> Any:
    """`value` as the type `kind`, without reading texts as numbers; types that are not known here pass."""
    origin = get_origin(kind)
    if origin is Literal:
        if value not in get_args(kind):
            raise SettingsError(f"{key} must be one of {', '.join(map(str, get_args(kind)))}, but is {value!r}")
        return value
    if origin in (Union, UnionType):
        kinds = [k for k in get_args(kind) if k is not NoneType]
        return None if value is None else _typed(kinds[0], value, key)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise SettingsError(f"{key} must be a list, but is {value!r}")
        return tuple(_typed(get_args(kind)[0], one, key) for one in value)
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise SettingsError(f"{key} must be a table, but is {value!r}")
        return {name: _typed(get_args(kind)[1], one, key) for name, one in value.items()}
    if kind not in _A:
        return value
    fits = {
        bool: type(value).__name__ in ("bool", "bool_"),
        int: _whole(value),
        float: isinstance(value, Real) and not isinstance(value, bool),
        str: isinstance(value, str) or _whole(value),  # digits are meant, as in layers=16
    }
    if not fits[kind]:
        raise SettingsError(f"{key} must be {_A[kind]}, but is {value!r}")
    return value if type(value) is kind or (kind is float and type(value) is int) else kind(value)


def _whole(value: Any) -> bool:
    """Whether a value is a whole number of any type but bool."""
    return isinstance(value, Real) and not isinstance(value, bool) and (isinstance(value, Integral) or value % 1 == 0)


def check_bounds(recipe: Any, bounds: Mapping[str, tuple[float, float]]) -> None:
    """Check numbers of a dataclass instance; None, a setting that is left open, passes.

    bounds  field → its lowest and its highest value; a highest one from 2**31 is as good as none, and not mentioned

    Raises SettingsError for the first number that lies outside, or is NaN.
    """
    for field, (low, high) in bounds.items():
        value = getattr(recipe, field)
        if value is not None and not low <= value <= high:  # also refuses NaN
            allowed = f"at least {low:g}" if high >= 2**31 else f"between {low:g} and {high:g}"
            raise SettingsError(f"{field} must be {allowed}, but is {value!r}")


def check_choices(recipe: Any, choices: Mapping[str, Sequence[str]]) -> None:
    """Check texts of a dataclass instance; choices: field → what it may be.

    Raises SettingsError for the first that is something else.
    """
    for field, allowed in choices.items():
        value = getattr(recipe, field)
        if value not in allowed:
            raise SettingsError(f"{field} must be one of {', '.join(allowed)}, but is {value!r}")


def _as(kind: Any, value: Any, key: str, given: str) -> Any:
    """`value` as `kind`: bool, int, float, str, Literal, a union with None, or what `_holding` takes."""
    if get_origin(kind) is Literal:
        allowed = get_args(kind)
        if value not in allowed:
            near = did_you_mean(str(value), map(str, allowed))
            raise SettingsError(
                f"setting {key!r} in {given} is {value!r}, but must be one of {', '.join(map(str, allowed))}{near}"
            )
        return value
    if kind is Any or get_origin(kind) in (tuple, dict) or dataclasses.is_dataclass(kind):
        return _holding(kind, value, key, given)
    if get_origin(kind) is not None or not isinstance(kind, type):  # X | None
        kinds = [k for k in get_args(kind) if k is not type(None)]
        return None if value in (None, "none", "") else _as(kinds[0], value, key, given)
    wrong = SettingsError(f"setting {key!r} in {given} must be {_A[kind]}, but is {value!r}")
    if kind is bool:
        if str(value).lower() not in ("true", "false"):
            raise wrong
        return str(value).lower() == "true"
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise wrong
    if isinstance(value, kind):
        return value
    digits = kind is str and isinstance(value, int)  # a text of them is meant, as in layers = 16
    try:
        return kind(value) if isinstance(value, str) or kind is float or digits else _exactly(kind, value)
    except (ValueError, OverflowError):
        raise wrong from None


def _holding(kind: Any, value: Any, key: str, given: str) -> Any:
    """`value` as `kind`, one of tuple[X, ...], dict[str, X], a dataclass or Any."""
    if kind is Any:
        return value
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise SettingsError(f"setting {key!r} in {given} must be a list, but is {value!r}")
        return tuple(_as(get_args(kind)[0], one, key, given) for one in value)
    if not isinstance(value, Mapping):
        raise SettingsError(f"setting {key!r} in {given} must be a table, but is {value!r}")
    if dataclasses.is_dataclass(kind):
        return build(kind, value, given=f"{key!r} of {given}")  # type: ignore[arg-type]
    return {name: _as(get_args(kind)[1], one, key, given) for name, one in value.items()}


def _exactly(kind: type, value: Any) -> Any:
    if kind(value) != value:
        raise ValueError(value)
    return kind(value)


_A = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def to_toml(recipe: Any, *path: str) -> str:
    """The settings of a dataclass instance as the TOML table `[a.b]` for `to_toml(recipe, "a", "b")`."""
    lines = [f"[{'.'.join(path)}]"]
    for key, value in settings_of(recipe).items():
        if value is not None:
            text = str(value).lower() if isinstance(value, bool) else json.dumps(value, ensure_ascii=False)
            text = text.replace("\x7f", "\\u007f")  # the one character that may stand in JSON but not in TOML
            lines.append(f"{key} = {text}")
    return "\n".join(lines) + "\n"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One line of a registry: what a name stands for.

    path     "module:attribute", imported when it is needed
    summary  its line in the help of commands
    """

    path: str
    summary: str


def resolve(registry: Mapping[str, Entry], name: str, what: str) -> Any:
    """The object that `registry[name]` names. Raises SettingsError, with near misses, for an unknown name."""
    if name not in registry:
        hint = did_you_mean(name, registry) or f"; there are {', '.join(registry)}"
        raise SettingsError(f"no {what} is called {name!r}{hint}")
    module, _, attribute = registry[name].path.partition(":")
    return getattr(import_module(module), attribute)
