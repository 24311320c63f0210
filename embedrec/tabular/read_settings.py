"""What every reader takes beside the files to read."""

from __future__ import annotations

from dataclasses import dataclass, field

from embedrec.progress import Report, quiet
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget
from embedrec.tabular.bad_rows import BadRows


@dataclass(frozen=True)
class ReadSettings:
    """How files are read.

    bad_rows  collects the rows that cannot be used; raises at the first one unless its mode is "skip"
    workers   threads, or processes for the Million Playlist Dataset; the result does not depend on the number
    memory    budget and location of the columns of the events
    report    receives "progress" with `done` and `total` bytes
    """

    bad_rows: BadRows = field(default_factory=BadRows)
    workers: int = 1
    memory: MemoryBudget = IN_MEMORY
    report: Report = quiet
