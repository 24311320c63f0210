"""An index that keeps a promise: types and settings are tried until one does, the fastest of them is kept.

What is tried is chosen so that trying takes no longer than building: cells, which are built soon, come first, and
graphs when cells do not keep the promise by visiting few vectors; cells by visiting many, and compressed types, when
graphs do not keep it. Cells are sought once and shared, and settings are found on a sample of items whose exact
neighbours are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import zip_longest
from time import perf_counter
from typing import Any

import numpy as np

from embedrec.config import settings_of
from embedrec.errors import SettingsError, TargetNotMet
from embedrec.index.construct import filled
from embedrec.index.faiss_parameters import check_settings, settings_of_type
from embedrec.index.index import Index
from embedrec.index.index_types import AUTO
from embedrec.index.measure import RecallSample, asked_of, faiss_bytes, measured
from embedrec.index.search_settings import AS_BUILT, KINDS, SearchSettings
from embedrec.index.target import SearchTarget
from embedrec.index.tuning import reaching
from embedrec.progress import Report, quiet
from embedrec.storage.memory_budget import IN_MEMORY, MemoryBudget
from embedrec.vectors.embeddings import Embeddings
from embedrec.vectors.faiss_factory import cells_of, inner

_FEW = 8_000  # vectors through which exact search is as fast as any other
_VISITED = 1000  # vectors that a query is compared with in cells, up to which no graph is faster
_CACHED = 1 << 26  # bytes of vectors; of larger ones a graph waits for memory, and so many times more may be visited
_CENTRES = 8  # centres of cells that are compared in the time of a vector
_NEAREST_MISSES = 3
_TIMES = (2, 4)  # of its cells or candidates, with which what is kept is measured too
_TYPES = ("flat", "ivf", "fastscan", "hnsw", "ivf-sq8", "ivfpq", "hnsw-sq8")


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """What was built and measured.

    index    with the settings of the point
    point    its operating point: spec, settings, and what `measuring.measured` says
    broken   what of the promise it does not keep
    """

    index: Index
    point: dict[str, Any]
    broken: list[str] = field(default_factory=list)


def tuned(
    embeddings: Embeddings,
    promise: SearchTarget,
    kind: str = AUTO,
    settings: SearchSettings = AS_BUILT,
    *,
    queries: np.ndarray | None = None,
    cells: np.ndarray | None = None,
    seed: int = 0,
    room: MemoryBudget = IN_MEMORY,
    report: Report = quiet,
) -> Index:
    """The fastest index, asked in batches, of those that keep the promise.

    kind      the only type to try; "auto" tries what fits the size
    settings  that stay as they are
    queries   (q, d) to measure on; None asks the items for each other
    cells     centres of cells, which types that have so many need not seek
    room      see `filled`

    Its facts hold the promise, and all "points" that were measured. Raises TargetNotMet, with the points, where none
    keeps the promise, and as `filled`.
    """
    started = perf_counter()
    if not len(embeddings):
        raise SettingsError("there are no vectors to index; train on sessions that hold items")
    asked: RecallSample | None = None
    tried: list[OperatingPoint] = []
    put_off: Callable[[], Iterator[OperatingPoint]] | None = None
    rounds = list(_rounds(embeddings, promise, kind, settings))
    for kinds, following in zip_longest(rounds, rounds[1:]):
        for name in kinds:
            begun = perf_counter()
            index = filled(embeddings, name, cells=cells, seed=seed, room=room, report=report)
            seconds = perf_counter() - begun
            index = replace(index, facts={"promise": settings_of(promise)})
            check_settings(settings, index.faiss, index.spec)
            cells = cells_of(index.faiss) if cells is None else cells
            asked = asked or asked_of(embeddings, queries, seed, k=promise.k)
            points = partial(_points, index, asked, promise, settings, seconds)
            found = list(points(last=_few_cells(index) if kinds == ["ivf"] and following == ["hnsw"] else None))
            put_off = put_off if found else points
            tried += found
        if put_off is not None and following != ["hnsw"] and all(t.broken for t in tried):
            tried += put_off()
            put_off = None
        kept = [t for t in tried if not t.broken]
        if kept:
            best = max(kept, key=lambda t: t.point["queries_per_second"])
            tried += _beyond(best, asked, promise, settings) if asked is not None else []
            return _with_facts(best, tried, promise, perf_counter() - started)
    raise TargetNotMet(_misses(tried, promise), points=[t.point for t in tried])


def _rounds(embeddings: Embeddings, promise: SearchTarget, kind: str, given: SearchSettings) -> Iterator[list[str]]:
    """Types to try together, the most promising first; those that cannot fit into the memory are left out, and those
    that have no such setting as is given."""
    if kind != AUTO:
        yield [kind]
        return
    n, d = len(embeddings), embeddings.dim
    left = [k for k in _TYPES if _able(k, given) and (promise.ram is None or n * _least_bytes(k, d) <= promise.ram)]
    if not any(_able(k, given) for k in _TYPES):
        raise SettingsError("no index type has both nprobe and ef_search; leave one out")
    rounds = [["ivf"], ["hnsw"]] if n >= _FEW else [["flat"], ["ivf"], ["hnsw"]]
    seen: set[str] = set()
    for kinds in [*rounds, ["ivf-sq8", "fastscan", "ivfpq"], ["hnsw-sq8"]]:
        new = [k for k in kinds if k in left and k not in seen]
        seen.update(new)
        if new:
            yield new


def _few_cells(index: Index) -> int:
    """How many cells may be visited before a graph is tried, at least one."""
    nlist, size = inner(index.faiss).nlist, index.embeddings.vectors.nbytes
    return max(1, int((_VISITED * max(1, size / _CACHED) - nlist / _CENTRES) * nlist / len(index)))


def _able(kind: str, given: SearchSettings) -> bool:
    """Whether a type has all settings that are given."""
    cells, graph = kind.startswith("ivf") or kind == "fastscan", "hnsw" in kind
    compressed = kind not in ("flat", "ivf", "hnsw")
    return all(has or value is None for has, value in
               ((cells, given.nprobe), (graph, given.ef_search), (compressed, given.rerank)))  # fmt: skip


def _least_bytes(kind: str, d: int) -> float:
    """Bytes that a vector takes in FAISS at least: its code, and 8 for its row in a cell or 256 for its links."""
    code = {"flat": 4 * d, "ivf": 4 * d, "hnsw": 4 * d, "ivf-sq8": d, "hnsw-sq8": d}.get(kind, d / 4)
    return code + (256 if "hnsw" in kind else 0 if kind == "flat" else 8)


def _points(
    index: Index,
    asked: RecallSample,
    promise: SearchTarget,
    given: SearchSettings,
    seconds: float,
    *,
    last: int | None = None,
) -> Iterator[OperatingPoint]:
    """The operating points of an index that reach the recall; the nearest where none does.

    last  the most cells that are tried; where no point reaches the recall with these, there is none
    """
    options, most = reaching(index, asked, promise.recall, given, last=last)
    built = {"bytes": faiss_bytes(index), "build_seconds": round(seconds, 3)}
    for settings in options or [most] * (last is None):
        yield _tried(index, asked, promise, settings, built)


def _beyond(
    best: OperatingPoint, asked: RecallSample, promise: SearchTarget, given: SearchSettings
) -> list[OperatingPoint]:
    """What more recall would cost: the operating points with two and four times the cells or candidates."""
    index, built = best.index, {name: best.point[name] for name in ("bytes", "build_seconds")}
    own, able = index.settings, settings_of_type(index.faiss)
    if "nprobe" in able and given.nprobe is None:
        nlist = inner(index.faiss).nlist
        more = [replace(own, nprobe=n * own.cells) for n in _TIMES if n * own.cells <= nlist]
    elif "ef_search" in able and given.ef_search is None:
        least = max(own.candidates, promise.k)
        more = [replace(own, ef_search=n * least) for n in _TIMES if n * least <= len(index)]
    else:
        more = []
    return [_tried(index, asked, promise, settings, built) for settings in more]


def _tried(
    index: Index, asked: RecallSample, promise: SearchTarget, settings: SearchSettings, built: dict[str, Any]
) -> OperatingPoint:
    point = {
        "spec": index.spec,
        **{name: getattr(settings, name) for name in KINDS},
        **measured(index, asked, settings),
        "bytes_per_vector": round(built["bytes"] / len(index), 1),
        **built,
    }
    return OperatingPoint(replace(index, settings=settings), point, promise.broken_by(point))


def _with_facts(best: OperatingPoint, tried: Sequence[OperatingPoint], promise: SearchTarget, seconds: float) -> Index:
    facts = {name: value for name, value in best.point.items() if name not in ("spec", "bytes", *KINDS)}
    facts["tuning_seconds"] = round(seconds - best.point["build_seconds"], 3)
    points = [{**t.point, "kept": t is best} for t in tried]
    return replace(best.index, facts={**facts, "promise": settings_of(promise), "points": points})


def _misses(tried: Sequence[OperatingPoint], promise: SearchTarget) -> str:
    """What came nearest, in one sentence."""
    if not tried:
        return f"no index type fits into {promise.ram:,} bytes; allow more with --max-ram"
    nearest = sorted(tried, key=lambda t: promise.distance(t.point))[:_NEAREST_MISSES]
    said = "; ".join(f"{_named(t)}: {' and '.join(t.broken)}" for t in nearest)
    return f"no index keeps the promise; the nearest are {said}"


def _named(tried: OperatingPoint) -> str:
    numbers = tried.index.settings.numbers()
    return " ".join([tried.index.spec, *(f"{name} {value}" for name, value in numbers.items())])
