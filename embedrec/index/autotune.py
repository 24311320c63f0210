"""Choose the index type and search settings: the fastest that reach a target.

The order keeps tuning about as cheap as one build. IVF, which is built fast, comes first; HNSW follows when IVF misses
the target with few visited vectors; IVF with many cells and compressed types follow when HNSW misses it too. IVF
centroids are computed once and shared. Settings are searched on a sample of items whose exact neighbours are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import zip_longest
from time import perf_counter
from typing import Any

import faiss
import numpy as np

from embedrec.config import settings_of
from embedrec.errors import SettingsError, TargetNotMet
from embedrec.index.build_settings import BuildSettings
from embedrec.index.construct import construct_index
from embedrec.index.exact_results import score_keys
from embedrec.index.index import SPARE, Index
from embedrec.index.index_types import AUTO
from embedrec.index.measure import Recall, RecallSample, batch_seconds, faiss_bytes, measure_search, recall_sample
from embedrec.index.search_parameters import check_settings, settings_of_type
from embedrec.index.search_settings import KINDS, SearchSettings
from embedrec.index.target import SearchTarget
from embedrec.progress import Report, quiet
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.faiss_structure import centroids_of, innermost

MAX_EXACT = 8_000  # vectors up to which exact search is as fast as any other
MAX_VISITED = 1000  # vectors that an IVF query visits, up to which no graph is faster
_CACHED = 1 << 26  # bytes of vectors; above, a graph waits for memory, and IVF may visit proportionally more vectors
_CENTRES = 8  # centroids that are compared in the time of one vector
_NEAREST_MISSES = 3
_TIMES = (2, 4)  # multiples of the chosen cells or candidates that are measured as well
_TYPES = ("flat", "ivf", "fastscan", "hnsw", "ivf-sq8", "ivfpq", "hnsw-sq8")

_RERANKS = (1, 2, 4, 8, 16, 32)
_FIRST_EF, _LAST_EF = 16, 4096
_TRIES = 4  # steps with more cells, and possibly fewer candidates, after the recall is first reached
_FASTER = 0.9  # an option replaces a previous one below this share of its time
_NO_GAIN = 1e-4  # gain in recall from twice the cells, below which the rest is lost to compression


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
    """What stays the same while an index is tuned.

    given  search settings that are fixed
    """

    sample: RecallSample
    target: SearchTarget
    given: SearchSettings


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

    Its measurements hold the target and all "points" that were measured. Raises TargetNotMet, with the points, when no
    index meets the target; SettingsError and DataError as `construct_index` does.
    """
    started = perf_counter()
    if not len(embeddings):
        raise SettingsError("there are no vectors to index; train on sessions that hold items")
    target, given = settings.target or SearchTarget(), settings.search
    tuning: _Tuning | None = None
    points: list[OperatingPoint] = []
    postponed: Callable[[], Iterator[OperatingPoint]] | None = None
    rounds = list(_rounds(embeddings, target, kind, given))
    for kinds, next_kinds in zip_longest(rounds, rounds[1:]):
        for name in kinds:
            build_started = perf_counter()
            index = construct_index(
                embeddings, name, centroids=centroids, seed=settings.seed, memory=settings.memory, report=report
            )
            seconds = perf_counter() - build_started
            index = replace(index, measurements={"promise": settings_of(target)})
            check_settings(given, index.faiss, index.spec)
            centroids = centroids_of(index.faiss) if centroids is None else centroids
            tuning = tuning or _Tuning(recall_sample(embeddings, queries, settings.seed, k=target.k), target, given)
            measure = partial(_points, index, tuning, seconds)
            before_graph = kinds == ["ivf"] and next_kinds == ["hnsw"]
            measured = list(measure(last=_cells_before_graph(index) if before_graph else None))
            postponed = postponed if measured else measure
            points += measured
        if postponed is not None and next_kinds != ["hnsw"] and all(p.violations for p in points):
            points += postponed()
            postponed = None
        valid = [p for p in points if not p.violations]
        if valid:
            best = max(valid, key=lambda p: p.point["queries_per_second"])
            points += _points_beyond(best, tuning) if tuning is not None else []
            return _with_measurements(best, points, target, perf_counter() - started)
    raise TargetNotMet(_describe_misses(points, target), points=[p.point for p in points])


def _rounds(embeddings: Embeddings, target: SearchTarget, kind: str, given: SearchSettings) -> Iterator[list[str]]:
    """Types to try together, the most promising first, without those that exceed the target's memory and those that
    lack a given setting."""
    if kind != AUTO:
        yield [kind]
        return
    n, d = len(embeddings), embeddings.dim
    suited = [k for k in _TYPES if _has_settings(k, given)]
    if not suited:
        raise SettingsError("no index type has both nprobe and ef_search; leave one out")
    remaining = {k for k in suited if target.ram is None or n * _least_bytes(k, d) <= target.ram}
    rounds = [["ivf"], ["hnsw"]] if n >= MAX_EXACT else [["flat"], ["ivf"], ["hnsw"]]
    for kinds in [*rounds, ["ivf-sq8", "fastscan", "ivfpq"], ["hnsw-sq8"]]:
        new = [k for k in kinds if k in remaining]
        if new:
            yield new


def _cells_before_graph(index: Index) -> int:
    """Cells up to which IVF is tried before a graph, at least 1."""
    nlist, size = innermost(index.faiss).nlist, index.embeddings.vectors.nbytes
    return max(1, int((MAX_VISITED * max(1, size / _CACHED) - nlist / _CENTRES) * nlist / len(index)))


def _has_settings(kind: str, given: SearchSettings) -> bool:
    """Whether a type has all given settings."""
    cells, graph = kind.startswith("ivf") or kind == "fastscan", "hnsw" in kind
    compressed = kind not in ("flat", "ivf", "hnsw")
    return all(has or value is None for has, value in
               ((cells, given.nprobe), (graph, given.ef_search), (compressed, given.rerank)))  # fmt: skip


def _least_bytes(kind: str, d: int) -> float:
    """Lower bound of the bytes of a vector in FAISS: its code, and 8 for its id in a cell or 256 for its links."""
    code = {"flat": 4 * d, "ivf": 4 * d, "hnsw": 4 * d, "ivf-sq8": d, "hnsw-sq8": d}.get(kind, d / 4)
    return code + (256 if "hnsw" in kind else 0 if kind == "flat" else 8)


def _points(index: Index, tuning: _Tuning, seconds: float, *, last: int | None = None) -> Iterator[OperatingPoint]:
    """The operating points of an index that reach the recall; if none does, the one with the highest recall.

    seconds  that its build took
    last     maximum number of cells; with it, an index that does not reach the recall has no point
    """
    options, best = _settings_reaching(index, tuning.sample, tuning.target.recall, tuning.given, last=last)
    built = {"bytes": faiss_bytes(index), "build_seconds": round(seconds, 3)}
    for search in options or [best] * (last is None):
        yield _measure_point(index, tuning, search, built)


def _points_beyond(best: OperatingPoint, tuning: _Tuning) -> list[OperatingPoint]:
    """The cost of more recall: operating points with two and four times the cells or candidates."""
    index, built = best.index, {name: best.point[name] for name in ("bytes", "build_seconds")}
    own, names = index.settings, settings_of_type(index.faiss)
    if "nprobe" in names and tuning.given.nprobe is None:
        nlist = innermost(index.faiss).nlist
        more = [replace(own, nprobe=n * own.cells) for n in _TIMES if n * own.cells <= nlist]
    elif "ef_search" in names and tuning.given.ef_search is None:
        least = max(own.candidates, tuning.target.k)
        more = [replace(own, ef_search=n * least) for n in _TIMES if n * least <= len(index)]
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
    closest = sorted(points, key=lambda p: target.distance(p.point))[:_NEAREST_MISSES]
    listed = "; ".join(f"{_describe_point(p)}: {' and '.join(p.violations)}" for p in closest)
    return f"no index meets the target; the closest are {listed}"


def _describe_point(point: OperatingPoint) -> str:
    numbers = point.index.settings.numbers()
    return " ".join([point.index.spec, *(f"{name} {value}" for name, value in numbers.items())])


def tune_search(index: Index, sample: RecallSample, recall: float, given: SearchSettings) -> Index:
    """The index with the fastest settings that reach a recall; if none do, with those of the highest recall.

    given  settings that are fixed
    """
    options, best = _settings_reaching(index, sample, recall, given)
    best, least = options[0] if options else best, np.inf
    for option in options if len(options) > 1 else ():
        seconds = batch_seconds(index, sample, option)
        if seconds < _FASTER * least:
            best, least = option, seconds
    return replace(index, settings=best)


def _settings_reaching(
    index: Index, sample: RecallSample, recall: float, given: SearchSettings, *, last: int | None = None
) -> tuple[list[SearchSettings], SearchSettings]:
    """Settings whose recall (its lower bound on the sample) reaches a recall: few cells with many candidates first,
    then more cells with fewer candidates. And the settings of the highest recall, for when there are none.

    given  settings that are fixed
    last   maximum number of cells, or of candidates of a graph; None for all
    """
    names = settings_of_type(index.faiss)
    reranks: Sequence[int | None] = _RERANKS if "rerank" in names and given.rerank is None else (given.rerank,)
    options: list[SearchSettings] = []
    tries = _TRIES
    highest, best = -1.0, given
    for walk in _walks(index, given, last):
        recalls = _recalls(index, sample, walk, reranks)
        enough = next((r for r, reached in zip(reranks, recalls, strict=True) if reached.low >= recall), 0)
        if enough != 0 and (not options or enough != options[-1].rerank):
            options.append(replace(walk, rerank=enough))
        tries -= bool(options)
        if enough == reranks[0] or not tries:
            break
        gain = recalls[-1].mean - highest
        if gain > 0:
            highest = recalls[-1].mean
            best = best if options else replace(walk, rerank=reranks[-1])
        if gain < _NO_GAIN and len(reranks) > 1:
            break
    return options, best


def _walks(index: Index, given: SearchSettings, last: int | None) -> Iterator[SearchSettings]:
    """Settings with a growing number of cells, or candidates of a graph: 1 to 8, then 10, 12, 14, 16, 20, 24 … up to
    `last`, or all."""
    names = settings_of_type(index.faiss)
    name = "nprobe" if "nprobe" in names else "ef_search" if "ef_search" in names else ""
    if not name or getattr(given, name) is not None:
        yield given
        return
    value, most = (1, int(innermost(index.faiss).nlist)) if name == "nprobe" else (_FIRST_EF, _LAST_EF)
    last = most if last is None else min(last, most)
    while value < last:
        yield replace(given, **{name: value})
        value += max(1, (1 << value.bit_length()) // 8)
    yield replace(given, **{name: last})


def _recalls(index: Index, sample: RecallSample, walk: SearchSettings, reranks: Sequence[int | None]) -> list[Recall]:
    """Recall with each rerank. One search suffices where fewer candidates are a prefix of more: a neighbour is found
    when it, or another as near, is among them. That does not hold for graphs and FAISS's own refinement. Queries with
    too few results are not searched again here, as settings that need that would be slow."""
    if len(reranks) == 1 or walk.ef_search is not None or isinstance(index.faiss, faiss.IndexRefine):
        return [sample.recall_of(index, replace(walk, rerank=rerank), once=True) for rerank in reranks]
    k, embeddings = sample.k + 1, index.embeddings
    candidates = index.candidates(sample.queries, k, replace(walk, rerank=reranks[-1]))  # (q, c)
    keys, least = (
        score_keys(embeddings.vectors, sample.queries, candidates, embeddings.metric),
        sample.least(embeddings),
    )
    if sample.rows is not None:
        keys[candidates == sample.rows[:, None]] = -np.inf
    return [sample.recall_of_keys(keys[:, : k * (rerank or 1) + SPARE], least) for rerank in reranks]
