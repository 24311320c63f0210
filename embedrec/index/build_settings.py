"""Settings of an index build."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from embedrec.index.on_disk_ivf import VectorEncoder
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.index.target import SearchTarget
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget

Encode = Callable[[Any, bool, float], VectorEncoder]  # trained index, augmented, max_norm, see `stored_vectors`


@dataclass(frozen=True)
class BuildSettings:
    """The settings of an index build.

    search  default search settings; those that are None are tuned
    target  requirements on recall, latency and memory; None tunes a named type to a recall@20 of .99, or the highest
            it reaches
    device  of the k-means of IVF cells: "cpu", or "cuda" for a GPU; the index itself is a CPU index
    seed    of k-means, graph levels and the sample for recall
    memory  under a budget, an IVF index that does not fit is written to a file in the budget's folder
    encode  encodes the vectors elsewhere; the index is then built in a file. None for this process
    """

    search: SearchSettings = AS_BUILT
    target: SearchTarget | None = None
    device: str = "cpu"
    seed: int = 0
    memory: MemoryBudget = IN_MEMORY
    encode: Encode | None = None
