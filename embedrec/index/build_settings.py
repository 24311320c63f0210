"""How an index is built."""

from __future__ import annotations

from dataclasses import dataclass

from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.index.target import SearchTarget
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget


@dataclass(frozen=True)
class BuildSettings:
    """What holds for the whole build of an index.

    search  default settings of its searches; those left open are tuned
    target  what the index must reach; None tunes a named type to a recall@20 of .99, or as close as it gets
    device  where the k-means of IVF cells runs: "cpu", or "cuda" for a GPU; the index itself is a CPU index
    seed    of k-means, of graph levels and of the sample that recall is measured on
    memory  under a budget, an IVF index that does not fit into it is written to a file in the budget's folder
    """

    search: SearchSettings = AS_BUILT
    target: SearchTarget | None = None
    device: str = "cpu"
    seed: int = 0
    memory: MemoryBudget = IN_MEMORY
