"""The context of a training: device, checkpoint, processes. It changes results only by the order of float sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedrec.errors import SettingsError

if TYPE_CHECKING:
    from embedrec.training.distributed import Processes


@dataclass(frozen=True)
class TrainingContext:
    """The context of one training.

    device      "cpu", "cuda" or "cuda:1", see `devices.resolve_device`; of a composite model "cpu", "cuda" or "auto",
                for its parts that train with torch
    checkpoint  folder of the checkpoint that is written after every epoch; None for none
    resume      whether to resume from that checkpoint
    processes   the processes that train together; None for a single process
    test        metrics of a model on a test part, by name; recorded after every epoch, never used to choose one
    memory      memory budget in bytes: of a `PairCountRecipe`, whose large arrays are stored in files, with the same
                result; of a recipe that `TrainsOnShares`, for the events of each process, which reads its share only
    force       write a composite model although it is not better than its best part

    Raises SettingsError for resuming without a checkpoint.
    """

    device: str = "cpu"
    checkpoint: Path | None = None
    resume: bool = False
    processes: Processes | None = None
    test: Callable[[Any], dict[str, float]] | None = None
    memory: int | None = None
    force: bool = False

    def __post_init__(self) -> None:
        if self.resume and self.checkpoint is None:
            raise SettingsError("resuming needs a checkpoint; set the folder of the checkpoint")

    @property
    def first(self) -> bool:
        """Whether this process is the first, which validates, reports and writes."""
        return self.processes is None or self.processes.rank == 0


DEFAULT_CONTEXT = TrainingContext()


def torchrun_rank(environment: Mapping[str, str]) -> tuple[int, int]:
    """The rank of this process on its machine, and the number of all processes of torchrun; 0 and 1 without it."""
    return int(environment.get("LOCAL_RANK", "0")), int(environment.get("WORLD_SIZE", "1"))
