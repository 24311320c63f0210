"""Indexes: `auto` against HNSW libraries, recall targets over many builds, tuning time, all pairs, and opening.

usage: python scripts/bench/index.py peers | promise | tuner | pairs | open [--data DATA] [--items 200000] [--dim 64]
                                     [--threads 2] [--epochs 30] [--builds 20] [--seed 0]

  peers    recall@20 ≥ .99 on generated vectors (--items, --dim), on those trained from the tracks of DATA/mpd and from
           DATA/nowplaying: queries per second in one batch, and seconds of the build; hnswlib, usearch and voyager are
           tuned to the same recall in the same run. 10,000 random items are the queries; the best of 3 runs counts
  promise  --builds builds of different data, from 1,000 to --items vectors in 16 to 256 dimensions: recall@20 on items
           that are not in the sample of the tuner
  tuner    seconds of the tuner, and of the build that it chose
  pairs    the 20 nearest of all --items vectors at recall ≥ .95: seconds, memory above the vectors
  open     milliseconds to open an index of --items × --dim and run one query, after imports, in a new process; the
           first run computes checksums, later runs use the cached ones
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter

import faiss
import numpy as np
from generated import clustered
from index_peers import EFS, LINKS, peers

from embedrec import Embeddings, Workspace, build_index, save_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.construct import construct_index
from embedrec.index.exact_results import score_keys
from embedrec.index.measure import RecallSample, sample_items
from embedrec.index.target import SearchTarget
from embedrec.models.serialization import load_item_vectors
from embedrec.storage import artifacts
from embedrec.vectors.exact_search import unit

ROOT = Path(__file__).resolve().parents[2]
K, TARGET, ASKED, RUNS = 20, 0.99, 10_000, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=list(PARTS))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--sets", nargs="+", default=["generated", "mpd", "nowplaying"], help="of peers and tuner")
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=30, help="of word2vec on what is in DATA")
    parser.add_argument("--builds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    faiss.omp_set_num_threads(given.threads)
    build_index(clustered(1000, 8), "ivf")  # whatever is compiled and loaded once is now
    PARTS[given.what](given)


def peers_(given: argparse.Namespace) -> None:
    for name, embeddings in data_sets(given):
        print(f"{name}: {len(embeddings):,} × {embeddings.dim}, {given.threads} threads", flush=True)
        started = perf_counter()
        index = build_index(embeddings, settings=BuildSettings(seed=given.seed))
        seconds = perf_counter() - started
        asked = sample_items(embeddings, given.seed + 1, ASKED, K)
        queries = asked.queries
        ours = len(queries) / best_of(partial(index.search, queries, K + 1))
        line("embedrec", index.spec, asked.recall_of(index).mean, ours, seconds, index.measurements["build_seconds"])
        vectors = unit(embeddings.vectors)
        ready, best = vectors[asked.rows], 0.0
        for peer in peers(vectors, given.threads):
            for ef in EFS:
                found = recall(peer.search(ready, K + 1, ef), asked, embeddings)
                if found >= TARGET:
                    break
            taken = best_of(partial(peer.search, ready, K + 1, ef))
            best = max(best, len(ready) / taken)
            line(peer.name, f"M{LINKS} ef {ef}", found, len(ready) / taken, peer.seconds)
        if best:
            print(f"  {ours / best:.2f} times the fastest of them", flush=True)


def promise_(given: argparse.Namespace) -> None:
    rng = np.random.default_rng(given.seed)
    worst = 1.0
    sizes = np.geomspace(1000, given.items, given.builds).astype(int)
    for build, n in enumerate(sizes.tolist()):
        d, clusters = int(rng.choice([16, 32, 64, 128, 256])), int(rng.choice([20, 500, max(1, n // 10)]))
        metric = ("cosine", "dot", "l2")[build % 3]
        made = clustered(n, d, clusters=clusters, seed=build)
        vectors = made.vectors * np.exp(0.5 * rng.normal(size=(n, 1))).astype(np.float32)
        embeddings = Embeddings(vectors, made.vocab, metric)
        promise = SearchTarget(float(rng.choice([0.9, 0.95, 0.98, 0.99])), K)
        index = build_index(embeddings, settings=BuildSettings(target=promise, seed=build))
        found = sample_items(embeddings, build + 1000, 2000, K).recall_of(index).mean
        worst = min(worst, found - promise.recall)
        kept = f"promised {promise.recall:.2f}  recall {found:.4f}  ahead {found - promise.recall:+.4f}"
        print(f"  {n:9,} × {d:3}  {clusters:6} clusters  {metric:6}  {index.spec:20}  {kept}", flush=True)
    print(f"  the worst of {given.builds} is {worst:+.4f} ahead of its promise")


def tuner_(given: argparse.Namespace) -> None:
    for name, embeddings in data_sets(given):
        started = perf_counter()
        index = build_index(embeddings, settings=BuildSettings(seed=given.seed))
        whole, build = perf_counter() - started, index.measurements["build_seconds"]
        times = f"the tuner takes {(whole - build) / build:.2f} times the build"
        size = f"{len(embeddings):,} × {embeddings.dim}"
        print(f"{name}: {size}  {index.spec}  build {build:.2f} s, all {whole:.2f} s: {times}", flush=True)


def pairs_(given: argparse.Namespace) -> None:
    embeddings = clustered(given.items, given.dim)
    before = peak()
    started = perf_counter()
    index = build_index(embeddings, settings=BuildSettings(target=SearchTarget(0.95, K), seed=given.seed))
    built = perf_counter() - started
    rows = np.arange(len(embeddings))
    for start in range(0, len(rows), 4096):
        index.neighbours(rows[start : start + 4096], K)
    whole = perf_counter() - started
    found = sample_items(embeddings, given.seed + 1, 2000, K).recall_of(index).mean
    print(f"{len(embeddings):,} × {embeddings.dim}: {index.spec}, build {built:.1f} s, all pairs with it {whole:.1f} s")
    print(f"  recall {found:.4f}, {peak() - before:.0f} MB above what stood before")


_OPEN = """\
import sys
from pathlib import Path
from time import perf_counter
import faiss, numpy, pyarrow.parquet
import embedrec.index.serialization
from embedrec.storage import artifacts
from embedrec import load_index
folder, dim = Path(sys.argv[1]), int(sys.argv[2])
started = perf_counter()
index = load_index(artifacts.read(folder, "index"))
opened = perf_counter()
index.search(numpy.ones((1, dim), dtype=numpy.float32), 20)
print(1000 * (opened - started), 1000 * (perf_counter() - opened))
"""


def open_(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "indexes" / "x"
        index = construct_index(clustered(given.items, given.dim), "IVF256,Flat")
        save_index(index, place, {})
        size = sum(f["bytes"] for f in artifacts.read(place).files.values())
        time.sleep(3)  # what was written this moment is not remembered
        print(f"{given.items:,} × {given.dim}, {size / 1e9:.2f} GB: milliseconds to open, and of the first query")
        for attempt in ("first", "then", "then", "then", "then", "then"):
            command = [sys.executable, "-c", _OPEN, str(place), str(given.dim)]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            print(f"  {attempt:5}  {float(said[0]):8.1f}  {float(said[1]):6.1f}", flush=True)


PARTS = {"peers": peers_, "promise": promise_, "tuner": tuner_, "pairs": pairs_, "open": open_}


def data_sets(given: argparse.Namespace) -> Iterator[tuple[str, Embeddings]]:
    """The generated vectors, and vectors trained on DATA; all compared by cosine."""
    if "generated" in given.sets:
        yield "generated", clustered(given.items, given.dim)
    with tempfile.TemporaryDirectory() as folder:
        for name in [name for name in ("mpd", "nowplaying") if name in given.sets]:
            workspace = f"{folder}/{name}"
            if name == "mpd":
                embedrec(workspace, "prepare", "mpd", given.data / "mpd" / "train", "--level", "track")
            else:
                embedrec(workspace, "prepare", "sessions", given.data / name / "train_sessions.parquet")
            sets = (f"dim={given.dim}", "min_count=1", f"epochs={given.epochs}")
            embedrec(workspace, "train", "word2vec", *(word for pair in sets for word in ("--set", pair)))
            yield name, load_item_vectors(Workspace(Path(workspace)).find("model"))


def embedrec(workspace: str, *arguments: object) -> None:
    command = [sys.executable, "-m", "embedrec", *map(str, arguments), "--workspace", workspace]
    subprocess.run(command, check=True, capture_output=True)


def recall(rows: np.ndarray, asked: RecallSample, embeddings: Embeddings) -> float:
    """Recall of results (q, k + 1) in any order, which contain the query items."""
    keys = score_keys(embeddings.vectors, asked.queries, rows, embeddings.metric)
    keys[(rows == asked.rows[:, None]) | (rows < 0)] = -np.inf
    return asked.recall_of_keys(keys, asked.thresholds(embeddings)).mean


def best_of(search: Callable[[], object]) -> float:
    """Seconds of the fastest of some runs."""
    taken = []
    for _ in range(RUNS):
        started = perf_counter()
        search()
        taken.append(perf_counter() - started)
    return min(taken)


def line(name: str, how: str, found: float, speed: float, seconds: float, own: float | None = None) -> None:
    beside = "" if own is None else f" (of them {own:.1f} s the index it kept)"
    print(
        f"  {name:9} {how:24} recall@20 {found:.4f}  {speed:8,.0f} queries/s  built in {seconds:6.1f} s{beside}",
        flush=True,
    )


def peak() -> float:
    """Peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
