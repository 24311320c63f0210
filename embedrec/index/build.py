"""From embeddings to a tuned and measured index."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import numpy as np

from embedrec.errors import SettingsError
from embedrec.index.autotune import tune_index, tune_search
from embedrec.index.build_settings import BuildSettings
from embedrec.index.construct import construct_index
from embedrec.index.index import Index
from embedrec.index.index_types import AUTO, factory_string
from embedrec.index.measure import measure_index, recall_sample
from embedrec.index.on_disk_ivf import fits_in_memory
from embedrec.index.search_parameters import check_settings
from embedrec.index.target import SearchTarget
from embedrec.progress import Report, quiet
from embedrec.storage.memory_budget import MemoryBudget
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.faiss_factory import create_index

_DEFAULTS = BuildSettings()


def build_index(
    embeddings: Embeddings,
    kind: str = AUTO,
    settings: BuildSettings = _DEFAULTS,
    *,
    queries: np.ndarray | None = None,
    report: Report = quiet,
) -> Index:
    """Build and measure an index of embeddings.

    kind     a name in INDEXES, a FAISS factory string, or "auto": the fastest index that meets the target
    queries  (q ≥ 1, d) to measure recall and speed on; None uses a sample of the items

    Raises SettingsError without vectors, for an unknown type or one that needs more vectors, for a search setting that
    the type does not have, if the index does not fit into the memory budget, and for device "cuda" without a GPU;
    TargetNotMet if no index meets the target.

    >>> import numpy as np
    >>> from embedrec import Embeddings, Vocab, build_index
    >>> vectors = np.array([[1, 0], [0.8, 0.6], [0, 1]])
    >>> index = build_index(Embeddings(vectors, Vocab(["bread", "jam", "nail"])), "flat")
    >>> index.neighbours(index.vocab.rows(["bread"]), 1).ids()
    [['jam']]
    """
    started = perf_counter()
    if kind == AUTO:
        _check_graph_fits(embeddings, settings.memory)
    centroids = None
    if settings.device != "cpu":
        from embedrec.index.gpu import centroids_on_gpu

        centroids = centroids_on_gpu(embeddings, kind, seed=settings.seed)
    if kind == AUTO or settings.target is not None:
        return tune_index(embeddings, kind, settings, queries=queries, centroids=centroids, report=report)
    built = construct_index(
        embeddings,
        kind,
        centroids=centroids,
        seed=settings.seed,
        memory=settings.memory,
        report=report,
        encode=settings.encode,
    )
    seconds = perf_counter() - started
    check_settings(settings.search, built.faiss, built.spec)
    sample = recall_sample(embeddings, queries, settings.seed)
    index = tune_search(built, sample, SearchTarget.recall, settings.search)
    return replace(index, measurements={**measure_index(index, sample), "build_seconds": round(seconds, 3)})


def _check_graph_fits(embeddings: Embeddings, memory: MemoryBudget) -> None:
    """Raises SettingsError if a graph, which "auto" may try, does not fit into the memory budget."""
    n, d = len(embeddings), embeddings.dim
    if memory.budget is None or not n:
        return
    if not fits_in_memory(create_index(factory_string("hnsw", n, d), d, embeddings.metric), n, memory):
        raise SettingsError(
            f"--type auto also tries graphs, which are built in memory, but a graph of {n:,} vectors does not fit into "
            f"{memory.budget:,} bytes; raise --memory, or choose ivf, ivf-sq8 or ivfpq, which can be written to disk"
        )
