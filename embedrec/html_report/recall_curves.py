"""The curve of an index: what it finds and how fast it is, from few cells or candidates to many."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Any

from embedrec.index.faiss_parameters import settings_of_type
from embedrec.index.index import Index
from embedrec.index.measure import RecallSample, asked_of, batch_seconds, measured
from embedrec.index.search_settings import KINDS, SearchSettings
from embedrec.index.serialization import kept_queries, load_index
from embedrec.storage.artifacts import Artifact
from embedrec.vectors.faiss_factory import inner

_FIRST, _LEAST, _MOST = 50, 200, 2000  # queries: to see how fast it is, and to measure with
_SECONDS = 10.0  # of an index, after which no more settings than its own are tried
_QUICK, _RUNS = 0.2, 3  # a batch of fewer seconds is asked so many times more: others of the machine may slow it down
_FIRST_EF, _LAST_EF = 32, 1024  # fewer candidates than results find no less
_ENOUGH = 0.9995  # recall after which more is only slower


def curve_of(artifact: Artifact, *, seed: int = 0) -> list[dict[str, Any]]:
    """Points of an index artifact as of `measuring.measured`, each with its settings, and whether they are the index's
    own ("kept"): with 1, 2, 4 … cells or candidates, until nearly all is found. One point where there is no such
    setting.

    Asked are the histories that were kept with the index, else items drawn at random; all points the same ones.
    """
    index = load_index(artifact)
    k = int((index.facts.get("promise") or {}).get("k", 20))
    queries = kept_queries(artifact)
    few = asked_of(index.embeddings, queries, seed, count=_FIRST, k=k)
    batch_seconds(index, few, runs=1)  # also reads files
    each = batch_seconds(index, few, runs=1) / len(few.queries)
    count = min(max(_LEAST, int(1 / each)), _MOST)
    asked = asked_of(index.embeddings, queries, seed, count=count, k=k)
    own = {**_point(index, asked, index.settings), "kept": True}
    points, began = [], perf_counter()
    for settings in _walk(index):
        if settings == index.settings:
            points.append(own)
        elif perf_counter() - began < _SECONDS:
            points.append({**_point(index, asked, settings), "kept": False})
        if own in points and points[-1][f"recall@{k}"] >= _ENOUGH:
            break
    return points


def _point(index: Index, asked: RecallSample, settings: SearchSettings) -> dict[str, Any]:
    said = measured(index, asked, settings)
    count = len(asked.queries)
    if count / said["queries_per_second"] < _QUICK:
        fastest = round(count / batch_seconds(index, asked, settings, runs=_RUNS))
        said["queries_per_second"] = max(said["queries_per_second"], fastest)
    return {**{name: getattr(settings, name) for name in KINDS}, **said}


def _walk(index: Index) -> list[SearchSettings]:
    """The settings of an index, and others with fewer and more cells or candidates, the fewest first."""
    own, able = index.settings, settings_of_type(index.faiss)
    if "nprobe" in able:
        name, value, first, most = "nprobe", own.cells, 1, int(inner(index.faiss).nlist)
    elif "ef_search" in able:
        name, value, first, most = "ef_search", own.candidates, _FIRST_EF, min(_LAST_EF, len(index))
    else:
        return [own]
    doubled = {first << power for power in range(most.bit_length()) if first << power <= most}
    return [own if number == value else replace(own, **{name: number}) for number in sorted(doubled | {value})]
