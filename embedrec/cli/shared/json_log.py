"""A log of JSON lines on stderr, for `--log-json`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from math import isfinite
from time import monotonic
from typing import Any

from embedrec.cli.shared.terminal import mask_passwords, visible_json, write_message

_PROGRESS_INTERVAL = 1.0  # minimum seconds between progress events


def write_event(step: str | None, event: str, **fields: Any) -> None:
    """Print one line of JSON: `at` (UTC), `step`, `event` and the fields; NaN and infinity become null."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    plain = {key: _plain(value) for key, value in fields.items()}
    line = json.dumps({"at": at, "step": step, "event": event, **plain}, default=str, allow_nan=False)
    write_message(visible_json(line))


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return mask_passwords(value)
    return None if isinstance(value, float) and not isfinite(value) else value


class JsonLog:
    """A report that prints JSON lines; progress at most once a second. `main` prints the failure of a command.

    step  the current step, until an event names another
    """

    def __init__(self, step: str | None = None) -> None:
        self._step = step
        self._last_progress = 0.0

    def __call__(self, event: str, **fields: Any) -> None:
        if event == "progress":
            if monotonic() - self._last_progress < _PROGRESS_INTERVAL:
                return
            self._last_progress = monotonic()
        self._step = fields.pop("step", self._step)
        write_event(self._step, event, **fields)
