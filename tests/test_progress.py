"""Reports: what discards them, and notes as Python warnings."""

from __future__ import annotations

import warnings
from pathlib import Path

import pyarrow as pa
import pytest

from embedrec.data import Sessions
from embedrec.progress import Report, quiet, quiet_stage, warn_notes


def work(report: Report) -> None:
    report("progress", done=1, total=2, unit="epochs")
    report("note", message="the log has no times")
    report("epoch", loss=0.5)


def test_quiet_discards_every_event(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        work(quiet)
        with quiet_stage("training") as report:
            work(report)
    assert not issued
    assert capfd.readouterr() == ("", "")


def test_an_exception_passes_through_a_quiet_stage() -> None:
    with pytest.raises(KeyError, match="lost"), quiet_stage("training"):
        raise KeyError("lost")


def test_warn_notes_issues_a_warning_for_each_note_only(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        work(warn_notes)
        work(warn_notes)
    assert [(warning.category, str(warning.message)) for warning in issued] == [
        (UserWarning, "the log has no times")
    ] * 2
    assert capfd.readouterr() == ("", "")


def test_a_warning_names_the_line_of_the_program_that_calls_the_library() -> None:
    """The library reports from two nested functions of its own."""
    frame = pa.table({"session": ["s", "s", "s"], "item": ["a", None, "b"]})
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        Sessions.from_frame(frame, on_bad_row="skip")
    (warning,) = issued
    assert str(warning.message).startswith("1 row left out: item is missing")
    assert Path(warning.filename) == Path(__file__)
    line = Path(__file__).read_text().splitlines()[warning.lineno - 1]
    assert line.strip() == 'Sessions.from_frame(frame, on_bad_row="skip")'
