"""The recall curve of an index: recall and speed for a range of cells or candidates."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Any

from embedrec.index.index import Index
from embedrec.index.measure import RecallSample, batch_seconds, measure_search, recall_sample
from embedrec.index.search_parameters import settings_of_type
from embedrec.index.search_settings import KINDS, SearchSettings
from embedrec.index.serialization import load_index, load_queries
from embedrec.storage.artifacts import Artifact
from embedrec.vectors.faiss_structure import innermost

_FIRST, _LEAST, _MOST = 50, 200, 2000  # queries of the first estimate of speed; bounds of the queries measured
_SECONDS = 10.0  # time limit per index for settings other than its own
_QUICK, _REPEATS = 0.2, 3  # batches below this time are repeated, to reduce noise
_FIRST_EF, _LAST_EF = 32, 1024  # fewer candidates than results have no effect
_ENOUGH = 0.9995  # recall at which the curve ends


def measure_curve(artifact: Artifact, *, seed: int = 0) -> list[dict[str, Any]]:
    """Measurements of an index artifact with 1, 2, 4 … cells or candidates, until recall is nearly 1: one point per
    setting, with the setting and whether it is the index's own ("kept"). One point for an index without such a setting.

    The queries are the histories saved with the index, otherwise random items; the same for all points.
    """
    index = load_index(artifact)
    k = int((index.measurements.get("promise") or {}).get("k", 20))
    queries = load_queries(artifact)
    first = recall_sample(index.embeddings, queries, seed, count=_FIRST, k=k)
    batch_seconds(index, first, runs=1)  # also reads files
    seconds_per_query = batch_seconds(index, first, runs=1) / len(first.queries)
    count = min(max(_LEAST, int(1 / seconds_per_query)), _MOST)
    sample = recall_sample(index.embeddings, queries, seed, count=count, k=k)
    default_point = {**_point(index, sample, index.settings), "kept": True}
    points, began = [], perf_counter()
    for settings in _settings_grid(index):
        if settings == index.settings:
            points.append(default_point)
        elif perf_counter() - began < _SECONDS:
            points.append({**_point(index, sample, settings), "kept": False})
        if default_point in points and points[-1][f"recall@{k}"] >= _ENOUGH:
            break
    return points


def _point(index: Index, sample: RecallSample, settings: SearchSettings) -> dict[str, Any]:
    measurements = measure_search(index, sample, settings)
    count = len(sample.queries)
    if count / measurements["queries_per_second"] < _QUICK:
        fastest = round(count / batch_seconds(index, sample, settings, runs=_REPEATS))
        measurements["queries_per_second"] = max(measurements["queries_per_second"], fastest)
    return {**{name: getattr(settings, name) for name in KINDS}, **measurements}


def _settings_grid(index: Index) -> list[SearchSettings]:
    """The settings of an index and others with fewer and more cells or candidates, in ascending order."""
    own, available = index.settings, settings_of_type(index.faiss)
    if "nprobe" in available:
        name, value, first, most = "nprobe", own.cells, 1, int(innermost(index.faiss).nlist)
    elif "ef_search" in available:
        name, value, first, most = "ef_search", own.candidates, _FIRST_EF, min(_LAST_EF, len(index))
    else:
        return [own]
    doubled = {first << power for power in range(most.bit_length()) if first << power <= most}
    return [own if number == value else replace(own, **{name: number}) for number in sorted(doubled | {value})]
