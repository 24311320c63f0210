"""Progress is shown in notebooks and on terminals only."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from embedrec.pipeline import progress_display
from embedrec.pipeline.prepare import prepare
from embedrec.pipeline.progress_display import ProgressState, find_screen, ipython_shell, show_progress
from tests.pipeline.conftest import COLUMNS, visits


class Kernel:
    """What a notebook shows: the texts of one output, in order."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, state: ProgressState, *, display_id: bool) -> Kernel:
        assert display_id
        self.update(state)
        return self

    def update(self, state: ProgressState) -> None:
        self.shown.append(state._repr_html_())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """An IPython that runs as the kernel of a notebook."""
    made = Kernel()
    shell = type("ZMQInteractiveShell", (), {})()
    module: Any = SimpleNamespace(get_ipython=lambda: shell, display=SimpleNamespace(display=made.display))
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setattr(progress_display, "_SECONDS_BETWEEN_UPDATES", 0.0)
    return made


def test_a_notebook_shows_a_bar(kernel: Kernel) -> None:
    with show_progress("train word2vec") as report:
        report("progress", done=20, total=80, unit="events")
        report("epoch", epoch=1, epochs=4, loss=0.123456)
    assert kernel.shown[0].startswith('<div><progress value="20" max="80"></progress> train word2vec 25%, ')
    assert "epoch epoch=1 epochs=4 loss=0.1235" in kernel.shown[1]
    assert "<progress" not in kernel.shown[-1] and "train word2vec, " in kernel.shown[-1]


def test_steps_in_a_notebook_show_progress_unless_it_is_off(kernel: Kernel) -> None:
    prepare(visits(), **COLUMNS).train("popular")
    assert any("prepare" in text for text in kernel.shown) and "train popular" in kernel.shown[-1]
    kernel.shown.clear()
    prepare(visits(), progress=False, **COLUMNS).train("popular")
    assert kernel.shown == []


def test_a_script_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    assert ipython_shell() == "" and find_screen(None) is None and find_screen(False) is None
    with show_progress("train") as report:
        report("progress", done=1, total=2, unit="events")
    assert stream.getvalue() == ""


def test_an_interactive_terminal_shows_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    assert find_screen(None) is None
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    with show_progress("train") as report:
        report("progress", done=1, total=2, unit="events")
    assert "\r\x1b[Ktrain 50%, 0.0 s" in stream.getvalue() and stream.getvalue().endswith("\r\x1b[K")


def test_progress_can_be_switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with show_progress("train", True) as report:
        report("progress", done=1, total=2, unit="events")
    assert "train 50%" in stream.getvalue()


def test_notes_are_warnings() -> None:
    with show_progress("train") as report, pytest.warns(UserWarning, match="two columns"):
        report("note", message="two columns match")


def test_the_bar_ends_with_an_error(kernel: Kernel) -> None:
    with pytest.raises(ValueError, match="stop"), show_progress("train") as report:
        report("progress", done=1, total=2, unit="events")
        raise ValueError("stop")
    assert "<progress" not in kernel.shown[-1]
