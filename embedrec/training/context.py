"""Where a training runs. Nothing here changes what is learned, but for the order in which floats are added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embedrec.errors import SettingsError

if TYPE_CHECKING:
    from embedrec.training.distributed import Processes


@dataclass(frozen=True)
class TrainingContext:
    """How one training is carried out.

    device      "cpu", "cuda" or "cuda:1", as `devices.resolve` gives it
    checkpoint  folder of the checkpoint that is written after every epoch; None for none
    resume      go on from that checkpoint
    processes   the processes that train together; None for this one alone
    memory      a budget in bytes, for recipes that are `Bounded`: large arrays are kept in files, with the same result

    Raises SettingsError for resuming without a checkpoint.
    """

    device: str = "cpu"
    checkpoint: Path | None = None
    resume: bool = False
    processes: Processes | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        if self.resume and self.checkpoint is None:
            raise SettingsError("there is nothing to resume without a checkpoint; name its folder")

    @property
    def first(self) -> bool:
        """Whether this process is the one that validates, reports and writes."""
        return self.processes is None or self.processes.rank == 0


HERE = TrainingContext()


def started_together(environment: Mapping[str, str]) -> tuple[int, int]:
    """This process's number among those of its machine, and how many torchrun started in all; 0 and 1 without it."""
    return int(environment.get("LOCAL_RANK", "0")), int(environment.get("WORLD_SIZE", "1"))
