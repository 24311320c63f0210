"""From embeddings to an index that was measured."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

from embedrec.embeddings import Embeddings
from embedrec.index.filling import filled
from embedrec.index.index import Index
from embedrec.index.measuring import facts_of, some_items
from embedrec.index.parameters import check_settings
from embedrec.index.promise import Promise
from embedrec.index.settings import AS_BUILT, SearchSettings
from embedrec.index.specs import AUTO
from embedrec.index.tuner import tuned
from embedrec.index.tuning import settled
from embedrec.reporting import Report, quiet


def build_index(
    embeddings: Embeddings,
    kind: str = AUTO,
    settings: SearchSettings = AS_BUILT,
    *,
    promise: Promise | None = None,
    device: str = "cpu",
    seed: int = 0,
    report: Report = quiet,
) -> Index:
    """Build an index of embeddings and measure it.

    kind      a name in INDEXES, a FAISS factory string, or "auto": the fastest that keeps the promise
    settings  of searches that say nothing else; what it leaves open is tuned: the fastest that reach the recall
    promise   what must hold, see `tuner.tuned`; without one, a named type comes as near to recall@20 of .99 as it can
    device    where cells are sought: "cpu", or "cuda" for a GPU; the index is one of the CPU

    Raises SettingsError when there is nothing to index, the type is unknown, it needs more vectors, or has no such
    setting, or there is no GPU where one is asked for; PromiseError when nothing keeps the promise.
    """
    started = perf_counter()
    cells = None
    if device != "cpu":
        from embedrec.index.gpu import cells_on_gpu

        cells = cells_on_gpu(embeddings, kind, seed=seed)
    if kind == AUTO or promise is not None:
        return tuned(embeddings, promise or Promise(), kind, settings, cells=cells, seed=seed, report=report)
    built = filled(embeddings, kind, cells=cells, seed=seed, report=report)
    seconds = perf_counter() - started
    check_settings(settings, built.faiss, built.spec)
    asked = some_items(embeddings, seed)
    index = settled(built, asked, Promise.recall, settings)
    return replace(index, facts={**facts_of(index, asked), "build_seconds": round(seconds, 3)})
