"""Indexes: `auto` against HNSW libraries, recall targets over many builds, tuning time, all pairs, and opening.

usage: python scripts/bench/index.py peers [--sets clustered unclustered …] [--libraries embedrec hnswlib …]
       python scripts/bench/index.py promise | tuner | pairs | open [--data DATA] [--items 200000] [--dim 64]
                                     [--threads 2] [--epochs 30] [--builds 20] [--seed 0]

  peers    recall@20 of --recall on each of --sets: queries per second in one batch and microseconds of processor time
           of a query in it, milliseconds of a single query, seconds of processor time of the build and of all builds
           with the tuning, bytes a vector; `auto` against the libraries of `index_libraries.py` that are installed, see
           `index_peers.py`. 10,000 queries, the best of 3 runs counts
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
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import faiss
import numpy as np
from generated import clustered
from index_libraries import LIBRARIES
from index_peers import compare
from index_sets import SETS, run_command, vector_sets

from embedrec import Embeddings, Workspace, build_index, save_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.construct import construct_index
from embedrec.index.measure import sample_items
from embedrec.index.target import SearchTarget
from embedrec.models.serialization import load_item_vectors
from embedrec.storage import artifacts

ROOT = Path(__file__).resolve().parents[2]
K = 20  # results
PEER_SETS = ("clustered", "unclustered", *SETS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=list(PARTS))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument(
        "--sets",
        nargs="+",
        help="of peers: clustered, unclustered, " + ", ".join(SETS) + "; of tuner: generated, mpd, nowplaying",
    )
    parser.add_argument("--libraries", nargs="+", choices=["embedrec", *LIBRARIES], help="of peers; all by default")
    parser.add_argument("--recall", type=float, nargs="+", default=[0.95, 0.99], help="of peers")
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
    names = given.libraries or ["embedrec", *LIBRARIES]
    ratios: dict[float, list[float]] = {target: [] for target in given.recall}
    with tempfile.TemporaryDirectory() as folder:
        sets = vector_sets(given.sets or PEER_SETS, Path(folder), given.data, given.items, given.dim, given.seed)
        for name, vectors in sets:
            n, d = vectors.items.shape
            print(f"{name}: {n:,} × {d}, {given.threads} threads, queries {vectors.kind}", flush=True)
            results = list(compare(vectors, names, given.recall, given.threads))
            for target in given.recall:
                found = sorted((r for r in results if r.target == target), key=lambda r: r.work or np.inf)
                for r in found:
                    print(f"  {r.line()}", flush=True)
                ours = [r for r in found if r.name == "embedrec" and r.speed]
                others = [r for r in found if r.name != "embedrec" and r.speed]
                if others and ours:
                    ratios[target].append(min(r.work for r in others) / ours[0].work)
                    single = min(r.single for r in others) / ours[0].single
                    print(
                        f"  at {target}: {ratios[target][-1]:.2f} times the fastest of the others by processor time, "
                        f"{ours[0].speed / max(r.speed for r in others):.2f} by the clock, single {single:.2f}",
                        flush=True,
                    )
    for target, of_sets in ratios.items():
        if of_sets:
            mean = float(np.exp(np.mean(np.log(of_sets))))
            said = f"{mean:.2f} times the fastest by processor time, geometric mean; the least {min(of_sets):.2f}"
            print(f"recall {target}: {said}")


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
    names = given.sets or ("generated", "mpd", "nowplaying")
    if "generated" in names:
        yield "generated", clustered(given.items, given.dim)
    with tempfile.TemporaryDirectory() as folder:
        for name in [name for name in ("mpd", "nowplaying") if name in names]:
            workspace = Path(folder) / name
            if name == "mpd":
                run_command(workspace, "prepare", "mpd", given.data / "mpd" / "train", "--level", "track")
            else:
                run_command(workspace, "prepare", "sessions", given.data / name / "train_sessions.parquet")
            sets = (f"dim={given.dim}", "min_count=1", f"epochs={given.epochs}")
            run_command(workspace, "train", "word2vec", *(word for pair in sets for word in ("--set", pair)))
            yield name, load_item_vectors(Workspace(workspace).find("model"))


def peak() -> float:
    """Peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
