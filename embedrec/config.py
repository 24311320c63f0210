"""Settings: dataclass fields, read from TOML tables and `key=value` strings.

A setting is defined once, as a dataclass field; its name is the parameter, the TOML key, the `--set` key and the key in
the artifact.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from embedrec.errors import SettingsError, decoding, did_you_mean

T = TypeVar("T")
_HIGHEST_SEED = 2**63 - 1
_MAX_DEPTH = 50  # of nested tables and lists; deeper ones could overflow the stack of recursive functions


class Settings:
    """Base of a frozen dataclass of settings, which checks the types of all fields, see `check_types`.

    A subclass with further checks calls `super().__post_init__()` first.
    """

    def __post_init__(self) -> None:
        check_types(self)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The settings by name, as of scikit-learn; `deep` has no effect: settings contain no estimator."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    def set_params(self, **params: Any) -> Self:
        """New settings with other values; these stay as they are, since settings are immutable and shared.

        scikit-learn's `clone` and `ParameterGrid` work with it: [recipe.set_params(**p) for p in ParameterGrid(grid)].
        GridSearchCV does not: it scores the estimator that `fit` has changed, and `fit` here returns a model.

        Raises SettingsError, with the nearest valid name, for an unknown setting.
        """
        return build(type(self), {**self.get_params(), **params}, source=f"set_params of {type(self).__name__}")

    def _repr_html_(self) -> str:
        from embedrec.text import Summary, html

        settings = settings_of(self)
        columns = {"setting": [*settings], "value": [*settings.values()]} if settings else {}
        return html(type(self).__name__, Summary([], columns))


def settings_of(recipe: Any) -> dict[str, Any]:
    """The settings of a dataclass instance as JSON values, in the order of the fields."""
    return dataclasses.asdict(recipe)


def build(cls: type[T], values: Mapping[str, Any], *, source: str) -> T:
    """An instance of the dataclass `cls` with these values over its defaults.

    values  field → value; strings are converted to the field's type, as in `{"epochs": "5"}`, and whole numbers to
            strings if the field is a string, as in `{"layers": 16}`
    given   where the values come from, for messages: "--set", "config.toml"

    Raises SettingsError for an unknown key (with the nearest valid one), a missing one, or a value of the wrong type.
    """
    hints = get_type_hints(cls)
    valid = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in values:
        if key not in valid:
            hint = did_you_mean(key, valid) or (f"; valid are {', '.join(valid)}" if valid else "; it has no settings")
            raise SettingsError(f"unknown setting {key!r} in {source}{hint}")
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        needed = field.default is field.default_factory is dataclasses.MISSING
        if needed and field.name not in values:
            raise SettingsError(f"the setting {field.name!r} is missing in {source}")
    return cls(**{key: _convert(hints[key], value, key, source) for key, value in values.items()})


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises SettingsError when it is missing or not valid TOML."""
    import tomllib

    with decoding(lambda why: SettingsError(f"{path} is not valid TOML: {why}")):
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            raise SettingsError(f"no settings file {path}; check the path") from None
        except OSError as e:
            raise SettingsError(f"the settings file {path} cannot be read ({e.strerror})") from e
    if _is_deeper(tables, _MAX_DEPTH):
        raise SettingsError(f"{path} nests tables or lists more than {_MAX_DEPTH} levels deep; remove some levels")
    return tables


def check_unicode(text: str, what: str) -> None:
    """Raises SettingsError for a string with surrogates, such as an argument that is not UTF-8; `what` names it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SettingsError(f"{what} must be UTF-8, but is {text!r}") from None


def _is_deeper(tables: dict[str, Any], depth: int) -> bool:
    """Whether tables and lists are nested more than `depth` levels deep; not recursive."""
    level: list[Any] = [tables]
    for _ in range(depth):
        values = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
        level = [value for value in values if isinstance(value, dict | list)]
    return bool(level)


def table(tables: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """The table `[a.b]` for `table(tables, "a", "b")`, or {} if it is missing.

    Raises SettingsError when the value of that name is not a table.
    """
    nested: Any = tables
    for depth, key in enumerate(path, start=1):
        nested = nested.get(key, {})
        if not isinstance(nested, Mapping):
            raise SettingsError(f"[{'.'.join(path[:depth])}] must be a table, but is {nested!r}")
    return dict(nested)


def parse_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """`["epochs=5", "dim=32"]` → `{"epochs": "5", "dim": "32"}`. Raises SettingsError for a string without '='."""
    out = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise SettingsError(f"--set takes key=value, but {pair!r} has no '='")
        out[key.strip()] = value.strip()
    return out


def check_types(settings: Any) -> None:
    """Check every field of a frozen dataclass instance against its annotation.

    NumPy numbers become Python numbers, whole floats become int for int fields, lists become tuples. Raises
    SettingsError, with the setting, for a value of another type and for a string that is not one of the choices.
    """
    for key, kind in _field_types(type(settings)).items():  # type: ignore[arg-type]
        value = getattr(settings, key)
        typed = _check_type(kind, value, key)
        if typed is not value:
            object.__setattr__(settings, key, typed)


@cache
def _field_types(cls: type[Any]) -> dict[str, Any]:
    """The types of the fields of a dataclass."""
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _check_type(kind: Any, value: Any, key: str) -> Any:
    """`value` as the type `kind`, without parsing strings; other types than those of settings pass unchanged."""
    origin = get_origin(kind)
    if origin is Literal:
        if value not in get_args(kind):
            raise SettingsError(f"{key} must be one of {', '.join(map(str, get_args(kind)))}, but is {value!r}")
        return value
    if origin in (Union, UnionType):
        kinds = [k for k in get_args(kind) if k is not NoneType]
        return None if value is None else _check_type(kinds[0], value, key)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise SettingsError(f"{key} must be a list, but is {value!r}")
        return tuple(_check_type(get_args(kind)[0], one, key) for one in value)
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise SettingsError(f"{key} must be a table, but is {value!r}")
        typed = {name: _check_type(get_args(kind)[1], one, key) for name, one in value.items()}
        return value if all(one is value[name] for name, one in typed.items()) else typed
    if kind not in _TYPE_NAMES:
        return value
    fits = {
        bool: type(value).__name__ in ("bool", "bool_"),
        int: _is_whole(value),
        float: isinstance(value, Real) and not isinstance(value, bool),
        str: isinstance(value, str) or _is_whole(value),  # a string of digits, as in layers=16
    }
    if not fits[kind]:
        raise SettingsError(f"{key} must be {_TYPE_NAMES[kind]}, but is {value!r}")
    return value if type(value) is kind or (kind is float and type(value) is int) else kind(value)


def _is_whole(value: Any) -> bool:
    """Whether a value is a whole number of any type but bool."""
    return isinstance(value, Real) and not isinstance(value, bool) and (isinstance(value, Integral) or value % 1 == 0)


def check_bounds(recipe: Any, bounds: Mapping[str, tuple[float, float]]) -> None:
    """Check numbers of a dataclass instance; None passes.

    bounds  field → lowest and highest value; messages do not mention a highest value of 2**31 or more

    Raises SettingsError for the first number out of bounds, or NaN.
    """
    for field, (low, high) in bounds.items():
        value = getattr(recipe, field)
        if value is not None and not low <= value <= high:  # also refuses NaN
            allowed = f"at least {low:g}" if high >= 2**31 else f"between {low:g} and {high:g}"
            raise SettingsError(f"{field} must be {allowed}, but is {value!r}")


def check_seed(seed: Any, where: str = "") -> None:
    """Raises SettingsError for a seed that the commands reject too. `where` (" in FILE") is for the message."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= _HIGHEST_SEED:
        raise SettingsError(f"seed{where} must be a whole number from 0 to {_HIGHEST_SEED}, but is {seed!r}")


def check_choices(recipe: Any, choices: Mapping[str, Sequence[str]]) -> None:
    """Check strings of a dataclass instance; choices: field → allowed values.

    Raises SettingsError for the first other value.
    """
    for field, allowed in choices.items():
        value = getattr(recipe, field)
        if value not in allowed:
            raise SettingsError(f"{field} must be one of {', '.join(allowed)}, but is {value!r}")


def _convert(kind: Any, value: Any, key: str, source: str) -> Any:
    """`value` as `kind`: bool, int, float, str, Literal, a union with None, or a type of `_convert_container`."""
    if get_origin(kind) is Literal:
        allowed = get_args(kind)
        if value not in allowed:
            near = did_you_mean(str(value), map(str, allowed))
            raise SettingsError(
                f"setting {key!r} in {source} is {value!r}, but must be one of {', '.join(map(str, allowed))}{near}"
            )
        return value
    if kind is Any or get_origin(kind) in (tuple, dict, Mapping) or dataclasses.is_dataclass(kind):
        return _convert_container(kind, value, key, source)
    if get_origin(kind) is not None or not isinstance(kind, type):  # X | None
        kinds = [k for k in get_args(kind) if k is not type(None)]
        return None if value in (None, "none", "") else _convert(kinds[0], value, key, source)
    error = SettingsError(f"setting {key!r} in {source} must be {_TYPE_NAMES[kind]}, but is {value!r}")
    if kind is bool:
        if str(value).lower() not in ("true", "false"):
            raise error
        return str(value).lower() == "true"
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise error
    if isinstance(value, kind):
        return value
    digits = kind is str and isinstance(value, int)  # a string of digits, as in layers = 16
    try:
        return kind(value) if isinstance(value, str) or kind is float or digits else _convert_exactly(kind, value)
    except (ValueError, OverflowError):
        raise error from None


def _convert_container(kind: Any, value: Any, key: str, source: str) -> Any:
    """`value` as `kind`, one of tuple[X, ...], dict[str, X], Mapping[str, X], a dataclass or Any."""
    if kind is Any:
        return value
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise SettingsError(f"setting {key!r} in {source} must be a list, but is {value!r}")
        return tuple(_convert(get_args(kind)[0], one, key, source) for one in value)
    if not isinstance(value, Mapping):
        raise SettingsError(f"setting {key!r} in {source} must be a table, but is {value!r}")
    if dataclasses.is_dataclass(kind):
        return build(kind, value, source=f"{key!r} of {source}")  # type: ignore[arg-type]
    return {name: _convert(get_args(kind)[1], one, key, source) for name, one in value.items()}


def _convert_exactly(kind: type, value: Any) -> Any:
    if kind(value) != value:
        raise ValueError(value)
    return kind(value)


_TYPE_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}


def to_toml(recipe: Any, *path: str) -> str:
    """The settings of a dataclass instance as the TOML table `[a.b]` for `to_toml(recipe, "a", "b")`."""
    lines = [f"[{'.'.join(path)}]"]
    for key, value in settings_of(recipe).items():
        if value is not None:
            text = str(value).lower() if isinstance(value, bool) else json.dumps(value, ensure_ascii=False)
            text = text.replace("\x7f", "\\u007f")  # the only character that JSON allows unescaped and TOML does not
            lines.append(f"{key} = {text}")
    return "\n".join(lines) + "\n"


@dataclasses.dataclass(frozen=True)
class Entry:
    """An entry of a registry.

    path     "module:attribute", imported when needed
    summary  its line in the help of commands
    """

    path: str
    summary: str


def resolve(registry: Mapping[str, Entry], name: str, what: str) -> Any:
    """The object that `registry[name]` names. Raises SettingsError, with near misses, for an unknown name."""
    if name not in registry:
        hint = did_you_mean(name, registry) or f"; valid are {', '.join(registry)}"
        raise SettingsError(f"no {what} is called {name!r}{hint}")
    module, _, attribute = registry[name].path.partition(":")
    return getattr(import_module(module), attribute)
