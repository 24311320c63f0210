"""A registry is a dict from a name to "module:attribute"; nothing is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from embedrec.errors import SettingsError, did_you_mean


def resolve(registry: Mapping[str, str], name: str, what: str) -> Any:
    """What `registry[name]` names. Raises SettingsError, with near misses, for an unknown name."""
    if name not in registry:
        hint = did_you_mean(name, registry) or f"; there are {', '.join(registry)}"
        raise SettingsError(f"no {what} is called {name!r}{hint}")
    module, _, attribute = registry[name].partition(":")
    return getattr(import_module(module), attribute)
