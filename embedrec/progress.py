"""How long work tells what it is doing: the library never prints but calls `report(event, **numbers)`.

"progress" (done, total, unit) comes several times a second; every function names the other events it sends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Report = Callable[..., None]


def quiet(event: str, **numbers: Any) -> None:
    """The report that nobody reads."""
