"""Progress reports: the library never prints; long functions call `report(event, **numbers)`.

The event "progress" (done, total, unit) comes several times a second. The event
"note" (message) is a sentence for the user. Every function documents its other events.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

Report = Callable[..., None]
Stage = Callable[[str], AbstractContextManager[Report]]  # title of a stage of a workflow → its report


def quiet(event: str, **numbers: Any) -> None:
    """Discards all reports."""


def quiet_stage(title: str) -> AbstractContextManager[Report]:
    """Discards all reports of a stage."""
    return nullcontext(quiet)


def warn_notes(event: str, **numbers: Any) -> None:
    """Issues a Python warning for each "note" (message) and discards all other reports.

    The warning names the line that called embedrec.
    """
    if event == "note":
        level, frame = 1, sys._getframe()
        while frame.f_back is not None and frame.f_globals["__name__"].startswith("embedrec."):
            level, frame = level + 1, frame.f_back
        warnings.warn(str(numbers["message"]), UserWarning, stacklevel=level)
