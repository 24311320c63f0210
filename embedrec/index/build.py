"""From embeddings to an index that was measured."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import numpy as np

from embedrec.errors import SettingsError
from embedrec.index.autotune import tuned
from embedrec.index.construct import filled
from embedrec.index.faiss_parameters import check_settings
from embedrec.index.index import Index
from embedrec.index.index_types import AUTO, factory_string
from embedrec.index.measure import asked_of, facts_of
from embedrec.index.on_disk_ivf import fits
from embedrec.index.search_settings import AS_BUILT, SearchSettings
from embedrec.index.target import SearchTarget
from embedrec.index.tuning import settled
from embedrec.progress import Report, quiet
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.faiss_factory import made


def build_index(
    embeddings: Embeddings,
    kind: str = AUTO,
    settings: SearchSettings = AS_BUILT,
    *,
    promise: SearchTarget | None = None,
    queries: np.ndarray | None = None,
    device: str = "cpu",
    seed: int = 0,
    room: MemoryBudget = IN_MEMORY,
    report: Report = quiet,
) -> Index:
    """Build an index of embeddings and measure it.

    kind      a name in INDEXES, a FAISS factory string, or "auto": the fastest that keeps the promise
    settings  of searches that say nothing else; what it leaves open is tuned: the fastest that reach the recall
    queries   (q, d) to measure on, at least one; None asks the items for each other
    promise   what must hold, see `tuner.tuned`; without one, a named type comes as near to recall@20 of .99 as it can
    device    where cells are sought: "cpu", or "cuda" for a GPU; the index is one of the CPU
    room      under a budget, cells that do not fit into it are written to a file in its folder; `save_index` moves it

    Raises SettingsError when there is nothing to index, the type is unknown, it needs more vectors, or has no such
    setting, must fit into the budget and does not, or there is no GPU where one is asked for; TargetNotMet when nothing
    keeps the promise.
    """
    started = perf_counter()
    if kind == AUTO:
        _check_graphs(embeddings, room)
    cells = None
    if device != "cpu":
        from embedrec.index.gpu import cells_on_gpu

        cells = cells_on_gpu(embeddings, kind, seed=seed)
    if kind == AUTO or promise is not None:
        return tuned(
            embeddings,
            promise or SearchTarget(),
            kind,
            settings,
            queries=queries,
            cells=cells,
            seed=seed,
            room=room,
            report=report,
        )
    built = filled(embeddings, kind, cells=cells, seed=seed, room=room, report=report)
    seconds = perf_counter() - started
    check_settings(settings, built.faiss, built.spec)
    asked = asked_of(embeddings, queries, seed)
    index = settled(built, asked, SearchTarget.recall, settings)
    return replace(index, facts={**facts_of(index, asked), "build_seconds": round(seconds, 3)})


def _check_graphs(embeddings: Embeddings, room: MemoryBudget) -> None:
    """Raises SettingsError where a graph, which "auto" may try, does not fit."""
    n, d = len(embeddings), embeddings.dim
    if room.budget is not None and n and not fits(made(factory_string("hnsw", n, d), d, embeddings.metric), n, room):
        raise SettingsError(
            f"auto tries graphs too, which are built in memory, too little of which is allowed for {n:,} vectors; name "
            "ivf, ivf-sq8 or ivfpq with --type, whose cells are written to disk, or allow more"
        )
