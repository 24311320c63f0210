"""A log of JSON lines on stderr, for `--log-json`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from math import isfinite
from time import monotonic
from typing import Any

from embedrec.cli.shared.terminal import tell, visible_json, without_passwords

_BETWEEN = 1.0  # seconds


def say(step: str | None, event: str, **said: Any) -> None:
    """One line: `at` (UTC), `step`, `event` and what is said, null for numbers that are none."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    plain = {key: _plain(value) for key, value in said.items()}
    line = json.dumps({"at": at, "step": step, "event": event, **plain}, default=str, allow_nan=False)
    tell(visible_json(line))


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return without_passwords(value)
    return None if isinstance(value, float) and not isfinite(value) else value


class JsonLog:
    """A report as such lines; progress once a second. How the command fails is one too: main says it.

    step  what is told of, until an event names another
    """

    def __init__(self, step: str | None = None) -> None:
        self._step = step
        self._said = 0.0

    def __call__(self, event: str, **said: Any) -> None:
        if event == "progress":
            if monotonic() - self._said < _BETWEEN:
                return
            self._said = monotonic()
        self._step = said.pop("step", self._step)
        say(self._step, event, **said)
