"""Progress reports: the library never prints; long functions call `report(event, **numbers)`.

The event "progress" (done, total, unit) comes several times a second. Every function documents its other events.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

Report = Callable[..., None]


def quiet(event: str, **numbers: Any) -> None:
    """Discards all reports."""


def warn_notes(event: str, **numbers: Any) -> None:
    """Issues a Python warning for each "note" (message) and discards all other reports."""
    if event == "note":
        warnings.warn(str(numbers["message"]), UserWarning, stacklevel=4)
