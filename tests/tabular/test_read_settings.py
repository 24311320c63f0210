"""Settings that all readers take."""

from __future__ import annotations

from embedrec.progress import quiet
from embedrec.storage.memory_budget import IN_MEMORY
from embedrec.tabular.read_settings import ReadSettings


def test_defaults_use_one_thread_and_no_budget() -> None:
    settings = ReadSettings()
    assert (settings.workers, settings.memory, settings.report) == (1, IN_MEMORY, quiet)
    assert (settings.bad_rows.mode, settings.bad_rows.total) == ("fail", 0)


def test_bad_rows_are_not_shared() -> None:
    """Settings do not share their counts of bad rows."""
    first, second = ReadSettings(), ReadSettings()
    first.bad_rows.leave_out("f", "row 1", "a problem")
    assert (first.bad_rows.total, second.bad_rows.total) == (1, 0)
