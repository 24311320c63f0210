"""Settings that all readers take."""

from __future__ import annotations

from embedrec.data import Events
from embedrec.data.event_log import EventLog, ReadState
from embedrec.progress import quiet
from embedrec.storage.memory_budget import IN_MEMORY
from embedrec.tabular.read_settings import ReadLog, ReadSettings


def test_defaults_use_one_thread_and_no_budget() -> None:
    settings = ReadSettings()
    assert (settings.workers, settings.memory, settings.report) == (1, IN_MEMORY, quiet)
    assert (settings.bad_rows.mode, settings.bad_rows.total) == ("fail", 0)


def test_bad_rows_are_not_shared() -> None:
    """Settings do not share their counts of bad rows."""
    first, second = ReadSettings(), ReadSettings()
    first.bad_rows.leave_out("f", "row 1", "a problem")
    assert (first.bad_rows.total, second.bad_rows.total) == (1, 0)


def test_a_log_is_handed_over_once() -> None:
    events = Events.of([1], ["a"], names={"a": "Ann"})
    log = ReadLog()
    assert (log.before, log.log) == (ReadState(), None)
    assert log.pop(events).events is events  # of a reader that keeps none
    log.log = EventLog(Events.of([1], ["a"]), state=ReadState(whole=True))
    popped = log.pop(events)
    assert popped.state.whole and popped.events.items is events.items and log.log is None
