"""A stage of a workflow that records its events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from embedrec.progress import Report, Stage

Events = list[tuple[str, str, dict[str, Any]]]


def recorder() -> tuple[Events, Stage]:
    """A list of (title of the stage, event, values), without progress, and the stage that fills it."""
    events: Events = []

    @contextmanager
    def stage(title: str) -> Iterator[Report]:
        def report(event: str, **values: Any) -> None:
            if event != "progress":
                events.append((title, event, values))

        yield report

    return events, stage
