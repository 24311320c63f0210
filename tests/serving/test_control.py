"""Commands that all workers follow."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from embedrec.serving.control import Command, Control


def test_a_command_reaches_the_others_once(tmp_path: Path) -> None:
    first, second = Control(tmp_path), Control(tmp_path)
    assert first.read() is None
    written = first.write(Command(version="v", skipped=("d",), force=True))
    assert written.number == 1
    assert first.read() is None
    assert (second.read(), second.read()) == (written, None)
    assert second.write(Command()).number == 2
    assert first.read() == Command(number=2)


def test_a_file_that_is_no_command_is_ignored(tmp_path: Path) -> None:
    control = Control(tmp_path)
    (tmp_path / "command.json").write_text("{")
    assert control.read() is None


def test_one_worker_commands_itself() -> None:
    control = Control(None)
    assert control.write(Command()).number == 1
    assert control.read() is None
    control.mark_ready()
    assert not control.others_answer()


def test_workers_know_whether_another_answers(tmp_path: Path) -> None:
    first, second = Control(tmp_path), Control(tmp_path)
    assert not second.others_answer()
    first.mark_ready()
    assert second.others_answer()


def test_commands_at_the_same_time_have_an_order(tmp_path: Path) -> None:
    controls = [Control(tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        work = [threads.submit(controls[number % 4].write, Command(version=str(number))) for number in range(200)]
        written = [one.result() for one in work]
    assert sorted(command.number for command in written) == list(range(1, 201))
    newest = Control(tmp_path).read()
    assert newest == max(written, key=lambda command: command.number)
