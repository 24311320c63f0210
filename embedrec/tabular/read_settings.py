"""What every reader takes beside the files to read."""

from __future__ import annotations

from dataclasses import dataclass, field

from embedrec.data.event_log import EventLog, ReadState
from embedrec.data.events import Events
from embedrec.errors import DataError
from embedrec.progress import Report, quiet
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget
from embedrec.tabular.bad_rows import BadRows


class NoRowsError(DataError):
    """Input files without a single row that can be used."""


class ReadLog:
    """Receives the log of the events that are read.

    before  how the rows were read that the new ones continue
    log     None until rows were read; a reader of its own kind leaves it None
    """

    def __init__(self, before: ReadState | None = None) -> None:
        self.before = before or ReadState()
        self.log: EventLog | None = None

    def pop(self, events: Events) -> EventLog:
        """The log of the events that a reader returned; forgets it, to free memory early."""
        log, self.log = self.log, None
        return EventLog(events) if log is None else log.with_names_and_features(events)


@dataclass(frozen=True)
class ReadSettings:
    """How files are read.

    bad_rows  collects the rows that cannot be used; raises at the first one unless its mode is "skip"
    workers   threads, or processes for the Million Playlist Dataset; the result does not depend on the number
    memory    budget and location of the columns of the events
    report    receives "progress" with `done` and `total` bytes
    log       receives the log of the events, which may continue an earlier one; None for no log
    """

    bad_rows: BadRows = field(default_factory=BadRows)
    workers: int = 1
    memory: MemoryBudget = IN_MEMORY
    report: Report = quiet
    log: ReadLog | None = None
