"""Progress on stderr: a bar with rate and remaining time on a terminal, and events as lines."""

from __future__ import annotations

import sys
from threading import Event, RLock, Thread
from time import monotonic
from types import TracebackType
from typing import Any

from embedrec.cli.shared.json_log import JsonLog
from embedrec.cli.shared.options import logs_json, note
from embedrec.cli.shared.terminal import mask_passwords, one_line, shorten, write_message

_SECONDS_BETWEEN_LINES = 1.0
SILENCE = 1.0  # seconds without progress after which a terminal shows a moving bar


class Progress:
    """A `Report` that prints events; use it as a context manager.

    "progress" events (done, total, unit) update a bar on a terminal and are silent in a pipe. A "note" prints
    its `message`, another event its numbers and texts, without tables; "epoch" events at most one per second, and
    always the last. On a terminal, a task without progress events, or after the last one, shows a moving bar with the
    elapsed time. With `--log-json` all events are JSON lines.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._last_epoch = 0.0
        self._at = ("", 0, 0)  # unit, done and total of the last progress event
        self._bar: Any = None
        self._task: Any = None
        self._log = JsonLog(what) if logs_json() else None
        self._terminal = bool(sys.stderr) and sys.stderr.isatty() and self._log is None
        self._started = self._last_event = monotonic()
        self._ended = Event()
        self._lock = RLock()  # of the bar, which the watcher thread may show too

    def __enter__(self) -> Progress:
        if self._terminal:
            Thread(target=self._watch, name="progress", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self.clear()

    def clear(self) -> None:
        """Remove the bar from the terminal, before a result is printed."""
        with self._lock:
            self._last_event = monotonic()
            self._at = ("", 0, 0)
            if self._bar is not None:
                self._bar.stop()
                self._bar = None

    def __call__(self, event: str, **numbers: Any) -> None:
        if event == "note" and self._log is not None:
            note(numbers["message"])
        elif event == "note":
            self._line(numbers["message"])
        elif self._log is not None:
            self._log(event, **numbers)
        elif event == "progress":
            self._move(**numbers)
        elif event != "epoch":
            flat = (f"{k}={_number(v)}" for k, v in numbers.items() if not isinstance(v, dict))
            self._line(f"{event} {' '.join(flat)}")
        elif monotonic() - self._last_epoch >= _SECONDS_BETWEEN_LINES or numbers["epoch"] == numbers["epochs"]:
            self._last_epoch = monotonic()
            self._line(f"{event} " + " ".join(f"{k}={_number(v)}" for k, v in numbers.items()))

    def _move(self, done: int, total: int, unit: str) -> None:
        if not self._terminal:
            return
        with self._lock:
            if unit != self._at[0] or done < self._at[1]:  # another step
                self.clear()
            self._last_event, self._at = monotonic(), (unit, done, total)
            if self._bar is None:
                self._bar, self._task = _counting(self.what, unit)
            self._bar.update(self._task, completed=done, total=total)

    def _watch(self) -> None:
        """Show a moving bar when there are no progress events."""
        while not self._ended.wait(SILENCE / 4):
            with self._lock:
                unit, done, total = self._at
                counts = bool(unit) and done < total
                if self._ended.is_set() or counts or monotonic() - self._last_event < SILENCE:
                    continue
                if self._bar is None or unit:
                    self.clear()
                    self._bar, self._task = _moving(self.what, self._started)

    def _line(self, text: str) -> None:
        text = one_line(shorten(mask_passwords(text)))
        with self._lock:
            if self._bar is not None:
                self._bar.console.print(text, highlight=False, markup=False)
            else:
                write_message(text)


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def rate(speed: float | None, unit: str) -> str:
    """A speed as text: "24,310 events/s", "3.1 M events/s", "0.25 products/s", "42.0 MB/s"; "" if it is unknown."""
    if not speed:
        return ""
    if unit == "B":
        return f"{speed / 1e6:,.1f} MB/s"
    if speed >= 1e6:
        return f"{speed / 1e6:,.1f} M {unit}/s"
    return f"{speed:,.0f} {unit}/s" if speed >= 10 else f"{speed:.2g} {unit}/s"


def _counting(what: str, unit: str) -> tuple[Any, Any]:
    """A bar with percentage, rate and remaining time."""
    from rich import progress

    class Rate(progress.ProgressColumn):
        def render(self, task: progress.Task) -> str:
            return rate(task.finished_speed or task.speed, unit)

    return _bar(what, progress.TaskProgressColumn(), Rate(), progress.TimeRemainingColumn())


def _moving(what: str, started: float) -> tuple[Any, Any]:
    """A bar of a task without progress events, with the elapsed time."""
    from rich import progress

    bar, task = _bar(what, progress.TimeElapsedColumn())
    bar.tasks[0].start_time = started
    return bar, task


def _bar(what: str, *columns: Any) -> tuple[Any, Any]:
    from rich import progress
    from rich.console import Console

    bar = progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        *columns,
        console=Console(stderr=True),
        transient=True,
    )
    bar.start()
    return bar, bar.add_task(one_line(what), total=None)
