"""Progress of the steps in notebooks and in an interactive Python; `python script.py` shows none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from time import monotonic
from typing import Any, Protocol, TextIO

from embedrec.progress import Report, warn_notes

_SECONDS_BETWEEN_UPDATES = 0.1
_WIDTH = 100  # characters of a line in a terminal


class Screen(Protocol):
    """Where the state of a step is shown."""

    def show(self, state: ProgressState) -> None:
        """Replace what is shown."""
        ...

    def end(self, state: ProgressState) -> None:
        """Show the state at the end of the step."""
        ...


class ProgressState:
    """The progress of one step; prints as a line, and as a bar in notebooks.

    what   the step: "train word2vec"
    done, total, unit  the last "progress" event; total is 0 before the first
    lines  other events, the last "epoch" only
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.done, self.total, self.unit = 0, 0, ""
        self.events: dict[str, str] = {}
        self.started = monotonic()
        self.ended = False

    def update(self, event: str, **numbers: Any) -> None:
        """Take an event of a `Report`."""
        if event == "progress":
            self.done, self.total, self.unit = numbers["done"], numbers["total"], numbers["unit"]
        else:
            self.events[event] = f"{event} " + " ".join(f"{key}={_number(value)}" for key, value in numbers.items())

    def __repr__(self) -> str:
        share = f" {self.done / self.total:.0%}" if self.total and not self.ended else ""
        parts = [f"{self.what}{share}, {monotonic() - self.started:.1f} s", *self.events.values()]
        return "; ".join(parts)

    def _repr_html_(self) -> str:
        value = f' value="{self.done}" max="{self.total}"' if self.total else ""
        bar = "" if self.ended else f"<progress{value}></progress> "
        return f"<div>{bar}{escape(repr(self))}</div>"


class NotebookScreen:
    """A cell output that is updated in place."""

    def __init__(self, display: Any) -> None:
        self._display, self._handle = display, None

    def show(self, state: ProgressState) -> None:
        if self._handle is None:
            self._handle = self._display(state, display_id=True)
        else:
            self._handle.update(state)

    def end(self, state: ProgressState) -> None:
        self.show(state)


class TerminalScreen:
    """A line of a terminal that is written again, and cleared at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, state: ProgressState) -> None:
        self._write(repr(state)[:_WIDTH])

    def end(self, state: ProgressState) -> None:
        self._write("")

    def _write(self, text: str) -> None:
        self._stream.write(f"\r\x1b[K{text}")
        self._stream.flush()


@contextmanager
def show_progress(what: str, on: bool | None = None) -> Iterator[Report]:
    """A block whose report is shown while it runs; a "note" is a Python warning in any case.

    what  the step: "train word2vec"
    on    None shows progress in the kernel of a notebook and in an interactive Python on a terminal
    """
    screen = find_screen(on)
    if screen is None:
        yield warn_notes
        return
    state, last = ProgressState(what), 0.0

    def report(event: str, **numbers: Any) -> None:
        nonlocal last
        if event == "note":
            warn_notes(event, **numbers)
            return
        state.update(event, **numbers)
        if monotonic() - last >= _SECONDS_BETWEEN_UPDATES:
            last = monotonic()
            screen.show(state)

    try:
        yield report
    finally:
        state.ended = True
        screen.end(state)


def find_screen(on: bool | None) -> Screen | None:
    """Where progress is shown; None for nowhere. See `show_progress`."""
    if on is False:
        return None
    shell = ipython_shell()
    if shell == "ZMQInteractiveShell":
        return NotebookScreen(sys.modules["IPython"].display.display)
    if sys.stderr is None:
        return None
    interactive = ("ps1" in vars(sys) or bool(shell)) and sys.stderr.isatty()
    return TerminalScreen(sys.stderr) if on or interactive else None


def ipython_shell() -> str:
    """The class of the running IPython shell, "ZMQInteractiveShell" in a notebook; "" without one.

    IPython is not imported: where it runs, it is imported already.
    """
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = None if get_ipython is None else get_ipython()
    return "" if shell is None else type(shell).__name__


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)
