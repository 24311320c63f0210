"""Choose the index type and search settings: the fastest that meet a target.

The order keeps tuning about as cheap as one build. IVF, which is built fast, comes first, over byte codes where these
are compared by products; HNSW follows if IVF misses the target with few visited vectors; IVF with many cells and other
types follow if HNSW misses it too. IVF centroids are computed once and shared. Settings are searched on a sample of
queries whose exact results are known, for cells from the number on that holds enough of these results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby, zip_longest
from time import perf_counter
from typing import Any

import faiss
import numpy as np

from embedrec.config import settings_of
from embedrec.errors import SettingsError, TargetNotMet
from embedrec.index.build_settings import BuildSettings
from embedrec.index.cells_needed import cells_needed
from embedrec.index.construct import construct_index
from embedrec.index.exact_results import score_keys
from embedrec.index.index import SPARE, Index
from embedrec.index.index_types import AUTO, INDEXES
from embedrec.index.measure import Recall, RecallSample, batch_seconds, faiss_bytes, measure_search, recall_sample
from embedrec.index.search_parameters import check_settings, settings_of_type
from embedrec.index.search_settings import KINDS, SearchSettings
from embedrec.index.target import SearchTarget
from embedrec.progress import Report, quiet
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.faiss_structure import centroids_of, innermost

MAX_EXACT = 8_000  # vectors up to which an exact search is as fast as any other
MAX_VISITED = 1000  # vectors visited by an IVF query up to which no graph is faster
# The same for codes of a byte a dimension, as a multiple: one takes .7 ns in a batch, and a vector of a graph's search
# 21 to 34 ns, of which vectors that are spread over many cells need thousands, too
_BYTES_FASTER = 100
_CACHE_BYTES = 1 << 26  # larger vectors make a graph wait for memory, so IVF may visit proportionally more
_CENTROIDS_PER_VECTOR = 8  # centroids compared in the time of one vector
_LISTED_MISSES = 3  # operating points in the message of a missed target
_MORE_RECALL = (2, 4)  # multiples of the chosen cells or candidates that are also measured

_RERANKS = (1, 2, 4, 8, 16, 32)
_FIRST_EF, _LAST_EF = 16, 4096
_STEPS_AFTER_SUCCESS = 4  # steps with more cells, and possibly fewer candidates, after the recall is first reached
_FASTER = 0.9  # an option replaces a previous one below this share of its time
_MIN_GAIN = 1e-4  # gain in recall from a step, below which compression loses the rest


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """An index with search settings, measured.

    index       with the settings of the point
    point       its spec, settings, and what `measure.measure_search` returns
    violations  how it misses the target; empty if it meets it
    """

    index: Index
    point: dict[str, Any]
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Tuning:
    """The inputs shared by all indexes that are tuned; `fixed` are search settings that must not change."""

    sample: RecallSample
    target: SearchTarget
    fixed: SearchSettings


def tune_index(
    embeddings: Embeddings,
    kind: str,
    settings: BuildSettings,
    *,
    queries: np.ndarray | None = None,
    centroids: np.ndarray | None = None,
    report: Report = quiet,
) -> Index:
    """The index that meets the target with the most queries a second in batches.

    kind       the only type to try; "auto" tries those that suit the number of vectors
    queries    (q, d) to measure on; None uses a sample of the items
    centroids  (c, d) of IVF cells for types with as many cells

    Its measurements hold the target and all "points" that were measured. Raises TargetNotMet, with the points, if no
    index meets the target; SettingsError and DataError as `construct_index` does.
    """
    started = perf_counter()
    if not len(embeddings):
        raise SettingsError("there are no vectors to index; train on sessions with items")
    target, fixed = settings.target or SearchTarget(), settings.search
    tuning: _Tuning | None = None
    points: list[OperatingPoint] = []
    postponed: Callable[[], Iterator[OperatingPoint]] | None = None
    rounds = list(_rounds(embeddings, target, kind, fixed))
    for names, next_names in zip_longest(rounds, rounds[1:], fillvalue=()):
        graph_follows = any(INDEXES[name].graph and not INDEXES[name].compressed for name in next_names)
        for name in names:
            build_started = perf_counter()
            index = construct_index(
                embeddings, name, centroids=centroids, seed=settings.seed, memory=settings.memory, report=report
            )
            seconds = perf_counter() - build_started
            index = replace(index, measurements={"promise": settings_of(target)})
            check_settings(fixed, index.faiss, index.spec)
            centroids = centroids_of(index.faiss) if centroids is None else centroids
            tuning = tuning or _Tuning(recall_sample(embeddings, queries, settings.seed, k=target.k), target, fixed)
            measure = partial(_operating_points, index, tuning, seconds)
            before_graph = graph_follows and INDEXES[name].cells
            measured = list(measure(limit=_cells_before_graph(index) if before_graph else None))
            postponed = postponed if measured else measure
            points += measured
        if postponed is not None and not graph_follows and all(p.violations for p in points):
            points += postponed()
            postponed = None
        valid = [p for p in points if not p.violations]
        if valid:
            best = max(valid, key=lambda p: p.point["queries_per_second"])
            points += _points_beyond(best, tuning) if tuning is not None else []
            return _with_measurements(best, points, target, perf_counter() - started)
    raise TargetNotMet(_describe_misses(points, target), points=[p.point for p in points])


def _rounds(embeddings: Embeddings, target: SearchTarget, kind: str, fixed: SearchSettings) -> Iterator[Sequence[str]]:
    """The types to try together, the most promising first: those that have all fixed settings and can fit into the
    target's memory; an exhaustive search only for few vectors."""
    if kind != AUTO:
        yield [kind]
        return
    n, d = len(embeddings), embeddings.dim
    metric = int(embeddings.metric == "l2")
    tries = {name: t.auto[metric] for name, t in INDEXES.items() if t.auto[metric]}
    suitable = {name: INDEXES[name] for name in tries if set(fixed.numbers()) <= INDEXES[name].settings}
    if not suitable:
        raise SettingsError("no index type has both nprobe and ef_search; leave one out")
    names = [
        name
        for name, t in sorted(suitable.items(), key=lambda entry: tries[entry[0]])
        if (target.ram is None or n * t.least_bytes(d) <= target.ram) and (n < MAX_EXACT or not t.exhaustive)
    ]
    for _, names_of_round in groupby(names, key=tries.__getitem__):
        yield list(names_of_round)


def _cells_before_graph(index: Index) -> int:
    """The number of cells up to which IVF is tried before a graph, at least 1."""
    nlist, size = innermost(index.faiss).nlist, index.embeddings.vectors.nbytes
    faster = _BYTES_FASTER if index.byte_cells is not None else 1
    visited = MAX_VISITED * faster * max(1, size / _CACHE_BYTES) - nlist / _CENTROIDS_PER_VECTOR
    return max(1, int(visited * nlist / len(index)))


def _operating_points(
    index: Index, tuning: _Tuning, seconds: float, *, limit: int | None = None
) -> Iterator[OperatingPoint]:
    """The operating points of an index that reach the recall; if none does, the one with the highest recall.

    seconds  duration of its build
    limit    maximum number of cells; with it, an index that does not reach the recall has no point
    """
    options, best = _settings_reaching(index, tuning.sample, tuning.target.recall, tuning.fixed, limit=limit)
    built = {"bytes": faiss_bytes(index), "build_seconds": round(seconds, 3)}
    for search in options or [best] * (limit is None):
        yield _measure_point(index, tuning, search, built)


def _points_beyond(best: OperatingPoint, tuning: _Tuning) -> list[OperatingPoint]:
    """The cost of more recall: operating points with two and four times the cells or candidates."""
    index, built = best.index, {name: best.point[name] for name in ("bytes", "build_seconds")}
    own, names = index.settings, settings_of_type(index.faiss)
    if "nprobe" in names and tuning.fixed.nprobe is None:
        nlist = innermost(index.faiss).nlist
        more = [replace(own, nprobe=factor * own.cells) for factor in _MORE_RECALL if factor * own.cells <= nlist]
    elif "ef_search" in names and tuning.fixed.ef_search is None:
        ef = max(own.candidates, tuning.target.k)
        more = [replace(own, ef_search=factor * ef) for factor in _MORE_RECALL if factor * ef <= len(index)]
    else:
        more = []
    return [_measure_point(index, tuning, search, built) for search in more]


def _measure_point(index: Index, tuning: _Tuning, search: SearchSettings, built: dict[str, Any]) -> OperatingPoint:
    point = {
        "spec": index.spec,
        **{name: getattr(search, name) for name in KINDS},
        **measure_search(index, tuning.sample, search),
        "bytes_per_vector": round(built["bytes"] / len(index), 1),
        **built,
    }
    return OperatingPoint(replace(index, settings=search), point, tuning.target.violations(point))


def _with_measurements(
    best: OperatingPoint, points: Sequence[OperatingPoint], target: SearchTarget, seconds: float
) -> Index:
    measurements = {name: value for name, value in best.point.items() if name not in ("spec", "bytes", *KINDS)}
    measurements |= {
        "tuning_seconds": round(seconds - best.point["build_seconds"], 3),
        "promise": settings_of(target),
        "points": [{**p.point, "kept": p is best} for p in points],
    }
    return replace(best.index, measurements=measurements)


def _describe_misses(points: Sequence[OperatingPoint], target: SearchTarget) -> str:
    """The closest points in one sentence."""
    if not points:
        return f"no index type fits into {target.ram:,} bytes; raise --max-ram"
    closest = sorted(points, key=lambda p: target.distance(p.point))[:_LISTED_MISSES]
    listed = "; ".join(f"{_describe_point(p)}: {' and '.join(p.violations)}" for p in closest)
    return f"no index meets the target; the closest are {listed}"


def _describe_point(point: OperatingPoint) -> str:
    numbers = point.index.settings.numbers()
    return " ".join([point.index.spec, *(f"{name} {value}" for name, value in numbers.items())])


def tune_search(index: Index, sample: RecallSample, recall: float, fixed: SearchSettings) -> Index:
    """The index with the fastest settings that reach a recall; if none do, with those of the highest recall.

    fixed  search settings that must not change
    """
    options, best = _settings_reaching(index, sample, recall, fixed)
    best, shortest = options[0] if options else best, np.inf
    for option in options if len(options) > 1 else ():
        seconds = batch_seconds(index, sample, option)
        if seconds < _FASTER * shortest:
            best, shortest = option, seconds
    return replace(index, settings=best)


def _settings_reaching(
    index: Index, sample: RecallSample, recall: float, fixed: SearchSettings, *, limit: int | None = None
) -> tuple[list[SearchSettings], SearchSettings]:
    """Settings whose recall (its lower bound on the sample) reaches a recall: few cells with many candidates first,
    then more cells with fewer candidates. Also the settings of the highest recall, in case there are none.

    fixed  search settings that must not change
    limit  maximum number of cells, or of candidates of a graph; None for all
    """
    names = settings_of_type(index.faiss)
    reranks: Sequence[int | None] = _RERANKS if "rerank" in names and fixed.rerank is None else (fixed.rerank,)
    options: list[SearchSettings] = []
    steps = _STEPS_AFTER_SUCCESS
    highest, best = -1.0, fixed
    first = cells_needed(index, sample, recall) if "nprobe" in names and fixed.nprobe is None else 1
    if limit is not None and first > limit:
        return [], fixed
    for settings in _effort_steps(index, fixed, limit, first):
        recalls = _recalls(index, sample, settings, reranks)
        enough = next((r for r, measured in zip(reranks, recalls, strict=True) if measured.low >= recall), 0)
        if enough != 0 and (not options or enough != options[-1].rerank):
            options.append(replace(settings, rerank=enough))
        steps -= bool(options)
        if enough == reranks[0] or not steps:
            break
        gain = recalls[-1].mean - highest
        if gain > 0:
            highest = recalls[-1].mean
            best = best if options else replace(settings, rerank=reranks[-1])
        if gain < _MIN_GAIN and len(reranks) > 1:
            break
    return options, best


def _effort_steps(index: Index, fixed: SearchSettings, limit: int | None, first: int) -> Iterator[SearchSettings]:
    """Settings with a growing number of cells, 1 to 16, then 18, 20 … 32, 36, 40 … up to the limit, or all; or of
    candidates of a graph, in steps that are twice as long, as none can be left out there.

    first  number of cells below which there are no steps, if the next step is not above it either
    """
    names = settings_of_type(index.faiss)
    name = "nprobe" if "nprobe" in names else "ef_search" if "ef_search" in names else ""
    if not name or getattr(fixed, name) is not None:
        yield fixed
        return
    value, last = (1, int(innermost(index.faiss).nlist)) if name == "nprobe" else (_FIRST_EF, _LAST_EF)
    last = last if limit is None else min(limit, last)
    while value < last:
        following = value + max(1, (1 << value.bit_length()) // (16 if name == "nprobe" else 8))
        if name != "nprobe" or following > first:
            yield replace(fixed, **{name: value})
        value = following
    yield replace(fixed, **{name: last})


def _recalls(
    index: Index, sample: RecallSample, settings: SearchSettings, reranks: Sequence[int | None]
) -> list[Recall]:
    """The recall with each rerank. One search suffices where fewer candidates are a prefix of more: a neighbour is
    found if it, or another as near, is among them. That does not hold for graphs and FAISS's own refinement. Queries
    with too few results are not searched again here, as settings that need that would be slow."""
    if len(reranks) == 1 or settings.ef_search is not None or isinstance(index.faiss, faiss.IndexRefine):
        return [sample.recall_of(index, replace(settings, rerank=rerank), once=True) for rerank in reranks]
    if index.byte_cells is not None and len(reranks) > 2:
        few = _recalls_of_prefixes(index, sample, settings, reranks[:2])
        if few[1].mean - few[0].mean < _MIN_GAIN:  # codes lose nothing, and many candidates take several times as long
            return [few[0], *few[1:] * (len(reranks) - 1)]
    return _recalls_of_prefixes(index, sample, settings, reranks)


def _recalls_of_prefixes(
    index: Index, sample: RecallSample, settings: SearchSettings, reranks: Sequence[int | None]
) -> list[Recall]:
    """The recall with each rerank from one search for the candidates of the last, the largest."""
    k, embeddings = sample.k + 1, index.embeddings
    candidates = index.candidates(sample.queries, k, replace(settings, rerank=reranks[-1]))  # (q, c)
    keys = score_keys(embeddings.vectors, sample.queries, candidates, embeddings.metric)
    thresholds = sample.thresholds(embeddings)
    if sample.rows is not None:
        keys[candidates == sample.rows[:, None]] = -np.inf
    return [sample.recall_of_keys(keys[:, : k * (rerank or 1) + SPARE], thresholds) for rerank in reranks]
