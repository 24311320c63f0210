"""Progress on a terminal and in a pipe."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from time import monotonic, sleep

import pytest

from embedrec.cli.shared import progress_bar
from embedrec.cli.shared.progress_bar import Progress, rate


class Terminal(io.StringIO):
    """A stream that records what a terminal receives."""

    def isatty(self) -> bool:
        return True

    @property
    def seen(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())


def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Replace stderr by a terminal; not a fixture, as pytest replaces stderr after fixtures are made."""
    result = Terminal()
    monkeypatch.setattr(sys, "stderr", result)
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return result


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until another thread makes a condition true."""
    deadline = monotonic() + 20
    while not condition():
        assert monotonic() < deadline, "timeout"
        sleep(0.01)


def test_a_bar_shows_share_rate_and_remaining_time(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    with Progress("train x") as report:
        for done in (0, 100, 200):
            report("progress", done=done, total=400, unit="events")
        wait_until(lambda: bool(re.search(r"train x .* 50% [\d,.]+ (M )?events/s 0:00:0\d", terminal.seen)))
        report("best", epoch=2)
    assert "best epoch=2\n" in terminal.seen
    assert terminal.getvalue().rstrip("\r\n").endswith("\x1b[2K")  # the bar is erased


def test_work_without_counts_has_a_bar_with_elapsed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    monkeypatch.setattr(progress_bar, "SILENCE", 0.02)
    with Progress("save") as report:
        wait_until(lambda: bool(re.search(r"save ━+ 0:00:00", terminal.seen)))
        report("progress", done=1, total=1, unit="lists")
        wait_until(lambda: "100%" in terminal.seen)
        length = len(terminal.seen)
        wait_until(lambda: bool(re.search(r"save ━+ 0:00:00", terminal.seen[length:])))  # output after the count
    after = terminal.getvalue()
    sleep(0.1)
    assert terminal.getvalue() == after  # no output after the end


def test_a_bar_with_counts_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    monkeypatch.setattr(progress_bar, "SILENCE", 0.02)
    with Progress("build") as report:
        report("progress", done=1, total=3, unit="vectors")
        wait_until(lambda: "33%" in terminal.seen)
        length = len(terminal.seen)
        sleep(0.1)
        report("progress", done=2, total=3, unit="vectors")
        wait_until(lambda: "67%" in terminal.seen)
    assert not re.search(r"build ━+ 0:00:00", terminal.seen[length:])


def test_short_work_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_a_terminal(monkeypatch)
    monkeypatch.setattr(progress_bar, "SILENCE", 60)
    with Progress("split"):
        pass
    assert terminal.getvalue() == ""


def test_a_pipe_shows_no_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bar, "SILENCE", 0.01)
    with Progress("train x") as report:
        report("vocabulary", items=5)
        report("progress", done=1, total=2, unit="events")
        sleep(0.05)
        report("epoch", epoch=1, epochs=1, loss=0.5)
    assert capsys.readouterr().err == "vocabulary items=5\nepoch epoch=1 epochs=1 loss=0.5\n"


@pytest.mark.parametrize(
    ("speed", "unit", "text"),
    [
        (None, "events", ""),
        (0, "events", ""),
        (0.25, "products", "0.25 products/s"),
        (9.96, "products", "10 products/s"),
        (24310.4, "events", "24,310 events/s"),
        (3.14e6, "lists written", "3.1 M lists written/s"),
        (42.04e6, "B", "42.0 MB/s"),
        (4e5, "B", "0.4 MB/s"),
    ],
)
def test_rates_are_rounded_with_their_unit(speed: float | None, unit: str, text: str) -> None:
    assert rate(speed, unit) == text
