"""Libraries tuned to a recall by one procedure, each in a process of its own, for `index.py`.

Of every build setting of a library, the fastest search setting is taken that reaches the recall on queries for tuning;
of these, the setting that answers them fastest. Its recall and speed are measured on other queries. Seconds of all
builds and of the tuning count. On a machine with other work only processor time says how fast a library is, so that
batches, builds and tuning are measured by it, too. Memory is what the process holds in the end above what it held
before the vectors were read, a library without the vectors that it was given. embedrec is saved and opened in a new
process for it: without the exact vectors, which are mapped from their file.

usage: python scripts/bench/index_peers.py NAME FOLDER --recall .95 .99 --threads 2 (called by index.py)
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from index_libraries import LIBRARIES, Library
from index_sets import RUNS, Asked, K, VectorSet

_SINGLE = 300  # queries asked one by one
_OWN = "embedrec"
_MISSED = "recall not reached"


@dataclass(frozen=True)
class Result:
    """A library on a set, tuned to a recall.

    setting  of build and search, or why there is none
    speed    queries a second in one batch
    work     microseconds of processor time a query in it
    build    seconds of processor time of the build that is used
    all      seconds of processor time of all builds and of the tuning
    single   milliseconds of a query asked alone, the median
    bytes    of memory a vector
    """

    name: str
    target: float
    setting: str
    recall: float = 0.0
    speed: float = 0.0
    work: float = 0.0
    single: float = 0.0
    build: float = 0.0
    all: float = 0.0
    bytes: float = 0.0

    def line(self) -> str:
        """The result in a line."""
        if not self.speed:
            return f"{self.name:10} {self.target}: {self.setting}, in {self.all:.0f} s"
        return (
            f"{self.name:10} {self.recall:.4f} of {self.target}  {self.speed:8,.0f}/s  {self.work:7.1f} µs of a "
            f"processor  {self.single:6.3f} ms  built in {self.build:6.1f} s, {self.all:6.1f} s with tuning  "
            f"{self.bytes:6.0f} bytes a vector  {self.setting}"
        )


def compare(vectors: VectorSet, names: Sequence[str], recalls: Sequence[float], threads: int) -> Iterator[Result]:
    """The results of embedrec and of the libraries of these names; those that are not installed are named."""
    missing = [name for name in names if name != _OWN and find_spec(LIBRARIES[name].module) is None]
    if missing:
        print(f"  not installed, so not compared: {', '.join(missing)}", flush=True)
    for name in [name for name in names if name not in missing]:
        command = [sys.executable, __file__, name, vectors.folder, "--threads", threads, "--recall", *recalls]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True, env=environment)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        best: dict[float, Result] = {}
        spent = 0.0
        for result in (Result(**json.loads(line)) for line in lines):
            spent = max(spent, result.all)
            before = best.get(result.target)
            if before is None or 0 < result.work < (before.work or np.inf):
                best[result.target] = result
        if not lines:
            print(f"  {name} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1][:200]}", flush=True)
        yield from (replace(result, all=spent) for result in best.values())


def run_library(name: str, library: Library, vectors: VectorSet, recalls: Sequence[float], threads: int) -> None:
    """Build, tune and measure a library, and print its results, one line a build setting and recall."""
    import_module(library.module)
    before = resident()
    started = process_time()
    for settings in library.builds:
        items = np.array(vectors.items)
        began = process_time()
        search = library.build(items, vectors.unit, settings, threads)
        built = process_time() - began
        del items
        tuned = [(target, effort(search, library, vectors, target)) for target in recalls]
        held = resident() - before
        spent = process_time() - started
        for target, chosen in tuned:
            if chosen is None:
                show(Result(name, target, _MISSED, build=built, all=spent))
            else:
                measured = measure(partial(_with_effort, search, chosen), vectors.measured)
                setting = ", ".join(f"{key} {value}" for key, value in settings.items())
                show(Result(name, target, f"{setting}: {chosen}", *measured, built, spent, held / len(vectors.items)))
        del search
        gc.collect()


def run_embedrec(vectors: VectorSet, recalls: Sequence[float], threads: int) -> None:
    """Build `auto` for each recall, with the queries for tuning where queries are no items."""
    import faiss

    from embedrec import Embeddings, Vocab, build_index
    from embedrec.index.build_settings import BuildSettings
    from embedrec.index.target import SearchTarget

    faiss.omp_set_num_threads(threads)
    small = np.random.default_rng(0).normal(size=(1000, 8)).astype(np.float32)
    build_index(Embeddings(small, Vocab(np.arange(1000))), "ivf-sq8")  # what is compiled and loaded once is now
    for target in recalls:
        items = np.array(vectors.items)
        embeddings = Embeddings(items, Vocab(np.arange(len(items))), "cosine" if vectors.unit else "dot")
        started = process_time()
        queries = None if vectors.of_items else np.array(vectors.tuning.queries)
        index = build_index(embeddings, settings=BuildSettings(target=SearchTarget(target, K)), queries=queries)
        spent = process_time() - started

        def search(queries: np.ndarray, k: int, index: Any = index) -> np.ndarray:
            rows: np.ndarray = index.search(queries, k).rows
            return rows

        measured = measure(search, vectors.measured)
        held = _held_by(index, vectors)
        show(Result(_OWN, target, _setting(index), *measured, index.measurements["build_seconds"], spent, held))
        del index, search, items, embeddings
        gc.collect()


def _setting(index: Any) -> str:
    return " ".join([index.spec, *(f"{name} {value}" for name, value in index.settings.numbers().items())])


def _held_by(index: Any, vectors: VectorSet) -> float:
    """Bytes a vector that a new process holds after it has opened the index and searched, without the exact vectors."""
    from embedrec import save_index

    with tempfile.TemporaryDirectory() as folder:
        save_index(index, Path(folder) / "index", {})
        command = [sys.executable, __file__, "held", str(vectors.folder), "--index", f"{folder}/index"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout) / len(vectors.items)


def held(vectors: VectorSet, folder: Path) -> int:
    """Bytes that this process holds more after it has opened an index and searched, without the file of the vectors."""
    import faiss  # noqa: F401

    from embedrec import Embeddings, Vocab, build_index, load_index, save_index

    metric: Any = "cosine" if vectors.unit else "dot"
    small = Embeddings(np.random.default_rng(0).normal(size=(1000, 8)), Vocab(np.arange(1000)), metric)
    with tempfile.TemporaryDirectory() as place:  # what is compiled and loaded once, for mapped vectors, is now
        for kind in ("ivf-sq8", "ivf", "hnsw"):
            save_index(build_index(small, kind), Path(place) / kind, {})
            load_index(Path(place) / kind).search(vectors.measured.queries[:, :8].copy(), K)
    before = resident()
    index = load_index(folder)
    index.search(vectors.measured.queries, K)
    mapped = 0
    lines = Path("/proc/self/smaps").read_text().splitlines()
    for number, line in enumerate(lines):
        if line.endswith("vectors.npy"):
            mapped += next(int(of.split()[1]) for of in lines[number:] if of.startswith("Rss:")) << 10
    return resident() - before - mapped


def effort(search: Any, library: Library, vectors: VectorSet, target: float) -> Any:
    """The first setting of a search that reaches the recall on the queries for tuning; None if none does."""
    for chosen in library.efforts(len(vectors.items)):
        if vectors.tuning.recall(search(vectors.tuning.queries, vectors.tuning.k, chosen)) >= target:
            return chosen
    return None


def _with_effort(search: Any, chosen: Any, queries: np.ndarray, k: int) -> np.ndarray:
    rows: np.ndarray = search(queries, k, chosen)
    return rows


def measure(search: Callable[[np.ndarray, int], np.ndarray], asked: Asked) -> tuple[float, ...]:
    """Recall, queries a second in one batch and microseconds of processor time a query (the best of some runs), and
    milliseconds of a single query."""
    recall, seconds, work = 0.0, [], []
    for _ in range(RUNS):
        started, worked = perf_counter(), process_time()
        rows = search(asked.queries, asked.k)
        seconds.append(perf_counter() - started)
        work.append(process_time() - worked)
        recall = asked.recall(rows)
    single = []
    for row in range(min(_SINGLE, len(asked.queries))):
        started = perf_counter()
        search(asked.queries[row : row + 1], asked.k)
        single.append(perf_counter() - started)
    count = len(asked.queries)
    return recall, count / min(seconds), 1e6 * min(work) / count, 1000 * float(np.median(single))


def show(result: Result) -> None:
    print(json.dumps(asdict(result)), flush=True)


def resident() -> int:
    """Bytes of memory that this process holds."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=[_OWN, "held", *LIBRARIES])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recall", type=float, nargs="+", default=[0.95, 0.99])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--index", type=Path, help="of held")
    given = parser.parse_args()
    vectors = VectorSet.load(given.folder)
    if given.name == "held":
        print(held(vectors, given.index))
    elif given.name == _OWN:
        run_embedrec(vectors, given.recall, given.threads)
    else:
        run_library(given.name, LIBRARIES[given.name], vectors, given.recall, given.threads)


if __name__ == "__main__":
    main()
