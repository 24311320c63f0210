"""Which types are worth building: they are tried on a sample of the vectors, and what they take is extrapolated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, log, sqrt

import numpy as np

from embedrec.embeddings import Embeddings
from embedrec.index.filling import filled
from embedrec.index.measuring import batch_seconds, some_items
from embedrec.index.promise import Promise
from embedrec.index.settings import AS_BUILT, SearchSettings
from embedrec.index.tuning import reaching

SAMPLES = (3_000, 12_000)  # vectors; a second's work
_ASKED = 1000  # queries
_RUNS = 3  # of which the fastest counts


def fastest_first(
    embeddings: Embeddings,
    promise: Promise,
    kinds: Sequence[str],
    settings: SearchSettings = AS_BUILT,
    *,
    seed: int = 0,
) -> list[str]:
    """Names of index types, the one first that seems to answer batches fastest at the recall; those that do not reach
    it on the larger sample come last.

    settings  that stay as they are

    What a query takes is a + b·√n where 4·√n cells are visited in numbers that hardly change, and a + b·log n in a
    graph (Malkov and Yashunin 2018); two samples tell a and b.
    """
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for size in SAMPLES:
        sample = _sample(embeddings, size, seed)
        asked = some_items(sample, seed, _ASKED, promise.k)
        for kind in kinds:
            index = filled(sample, kind, seed=seed)
            options = reaching(index, asked, promise.recall, settings)[0]
            seconds = [batch_seconds(index, asked, option, _RUNS) for option in options]
            taken[kind].append(min(seconds, default=inf))
    n = len(embeddings)
    expected = {kind: _extrapolated(taken[kind], log if "hnsw" in kind else sqrt, n) for kind in kinds}
    return sorted(kinds, key=lambda kind: expected[kind])


def _sample(embeddings: Embeddings, size: int, seed: int) -> Embeddings:
    rows = np.sort(np.random.default_rng(seed).choice(len(embeddings), min(size, len(embeddings)), replace=False))
    return Embeddings(embeddings.vectors[rows], embeddings.vocab.take(rows), embeddings.metric)


def _extrapolated(seconds: Sequence[float], growth: Callable[[float], float], n: int) -> float:
    """What n vectors will take, if it grows so from the first sample to the second; never less than that takes."""
    few, many = map(growth, SAMPLES)
    start, end = seconds
    if end == inf:
        return inf
    slope = 0.0 if start == inf else max(end - start, 0.0) / (many - few)
    return end + slope * (growth(n) - many)
