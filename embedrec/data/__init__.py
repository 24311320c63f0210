"""The data nouns: vocabularies, events, sessions and features. Each loads when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embedrec.data.events import Events
    from embedrec.data.features import Features
    from embedrec.data.sessions import Sessions
    from embedrec.data.vocab import Vocab

__all__ = ["Events", "Features", "Sessions", "Vocab"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'embedrec.data' has no attribute {name!r}")
    return getattr(import_module(f"embedrec.data.{name.lower()}"), name)
