"""Progress on stderr: a bar with rate and time left on a terminal, milestones as lines everywhere."""

from __future__ import annotations

import sys
from time import monotonic
from types import TracebackType
from typing import Any

import click

_SECONDS_BETWEEN_LINES = 1.0


class Progress:
    """A report for library calls; use as a context manager.

    "progress" events (done, total, unit) move a bar on a terminal and are silent in a pipe; other events are lines;
    those of epochs one a second at most, and always the last.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self._said = 0.0
        self._at = ("", 0)  # unit and number of the last progress
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def clear(self) -> None:
        """Take the bar off the screen, before a result is printed."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, event: str, **numbers: Any) -> None:
        if event == "progress":
            self._move(**numbers)
        elif event != "epoch":
            self._line(f"{event} " + " ".join(f"{k}={_number(v)}" for k, v in numbers.items()))
        elif monotonic() - self._said >= _SECONDS_BETWEEN_LINES or numbers["epoch"] == numbers["epochs"]:
            self._said = monotonic()
            self._line(f"{event} " + " ".join(f"{k}={_number(v)}" for k, v in numbers.items()))

    def _move(self, done: int, total: int, unit: str) -> None:
        if not sys.stderr or not sys.stderr.isatty():
            return
        if unit != self._at[0] or done < self._at[1]:  # another step has begun
            self.clear()
        self._at = (unit, done)
        if self._bar is None:
            self._bar, self._task = _bar(self.what, unit)
        self._bar.update(self._task, completed=done, total=total)

    def _line(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        else:
            click.echo(text, err=True)


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def _bar(what: str, unit: str) -> tuple[Any, Any]:
    from rich import progress
    from rich.console import Console

    class Rate(progress.ProgressColumn):
        def render(self, task: progress.Task) -> str:
            speed = task.finished_speed or task.speed or 0
            return f"{speed / 1e6:,.1f} M{unit}/s" if speed >= 1e6 else f"{speed:,.0f} {unit}/s"

    bar = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        Rate(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    bar.start()
    return bar, bar.add_task(what, total=None)
