"""Measure vectors larger than the memory: import of a file, an index with cells on disk, and a search.

    python scripts/bench/large.py [--items 5000000] [--dim 64] [--memory 512M] [--type IVF2048,Flat] [--format fbin]

Vectors around Gaussian centres are written to a file, block by block. Then each step runs in its own process: `vectors
import`, `build-index --memory`, and twice a process that opens the index and runs one query; the first of these
computes checksums. MB is the peak of anonymous resident memory (without files, whose memory the system can reclaim),
sampled every 10 ms; the import and the build must not exceed --memory. Recall and milliseconds per query are those that
the build measured.

The ids are row numbers, as in a .fbin without a file of ids. Text ids take about 300 bytes each in memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from processes import Run, measure

_BLOCK = 1 << 18  # vectors generated at once
_CLUSTERS, _NOISE = 500, 0.5  # as `generated.clustered` makes them
_OPEN = """\
import json, sys, time
from pathlib import Path
import numpy as np
from embedrec.storage import artifacts
from embedrec.index.serialization import load_index
started = time.perf_counter()
index = load_index(artifacts.read(Path(sys.argv[1]), "index"))
opened = time.perf_counter()
index.neighbours(np.array([7]), 20)
asked = time.perf_counter()
status = Path("/proc/self/status").read_text()
anonymous = next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1]
print(json.dumps([1000 * (opened - started), 1000 * (asked - opened), (int(anonymous) << 10) / 1e6]))
"""


def main() -> int:
    """Generate vectors, run all steps, print a table; returns 1 if the memory limit was exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=5_000_000, help="vectors")
    parser.add_argument("--dim", type=int, default=64, help="their dimensions")
    parser.add_argument("--memory", default="512M", help="memory that the build is given")
    parser.add_argument("--type", default="IVF2048,Flat", help="type of the index")
    parser.add_argument("--format", choices=["fbin", "fvecs"], default="fbin", help="of the file")
    parser.add_argument("--threads", type=int, default=1, help="threads of the build")
    parser.add_argument("--folder", help="where to work, in a folder that is removed [default: the system's]")
    given = parser.parse_args()
    from embedrec.storage.memory_budget import parse_size

    budget = parse_size(given.memory)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        file = Path(folder) / f"large.{given.format}"
        started = time.perf_counter()
        generate(file, given.items, given.dim)
        print(f"{given.items:,} × {given.dim} vectors, {file.stat().st_size / 1e6:,.0f} MB of {given.format}")
        print(f"{'step':>12} {'seconds':>8} {'MB without files':>17} {'MB with them':>13}")
        print(f"{'generate':>12} {time.perf_counter() - started:>8.1f}")
        at = ["--workspace", folder]
        imported = step("import", ["vectors", "import", str(file), *at])
        file.unlink()
        words = ["build-index", "--type", given.type, "--memory", given.memory, "--threads", str(given.threads)]
        built = step("build-index", [*words, "--name", "large", "--json", *at])
        facts = json.loads(built.out)
        size = (Path(folder) / "indexes" / "large" / "index.faiss").stat().st_size
        for what in ("first", "again"):
            time.sleep(2.1)  # a file that has just been written may yet change, so that no checks of it are remembered
            print(f"{what:>12} {opened(Path(folder) / 'indexes' / 'large')}")
    reached = max(imported.anonymous, built.anonymous) <= budget
    found = f"recall@20 {facts['recall@20']:.4f}, {facts['query_ms_p50']} ms a query"
    print(f"{facts['spec']} of {size / 1e6:,.0f} MB: {found}")
    print(f"memory: {'figure reached' if reached else 'FIGURE MISSED'} (≤ {budget / 1e6:.0f} MB)")
    return 0 if reached else 1


def generate(path: Path, n: int, d: int) -> None:
    """Write n vectors of d dimensions as .fbin or .fvecs, block by block."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(_CLUSTERS, d)).astype(np.float32)
    with path.open("wb") as file:
        if path.suffix == ".fbin":
            file.write(np.array([n, d], dtype="<i4").tobytes())
        for vectors in _blocks(rng, centres, n):
            _write(file, vectors, path.suffix)


def _blocks(rng: np.random.Generator, centres: np.ndarray, n: int) -> Iterator[np.ndarray]:
    for start in range(0, n, _BLOCK):
        count = min(_BLOCK, n - start)
        noise = rng.standard_normal((count, centres.shape[1]), dtype=np.float32)
        yield centres[rng.integers(0, len(centres), count)] + np.float32(_NOISE) * noise


def _write(file: IO[bytes], vectors: np.ndarray, suffix: str) -> None:
    if suffix == ".fvecs":
        records = np.empty(len(vectors), dtype=np.dtype([("d", "<i4"), ("vector", "<f4", (vectors.shape[1],))]))
        records["d"], records["vector"] = vectors.shape[1], vectors
        vectors = records
    file.write(vectors.tobytes())


def step(what: str, words: list[str]) -> Run:
    """Run a command, and print its line of the table."""
    run = measure([sys.executable, "-m", "embedrec.cli.main", *words])
    print(f"{what:>12} {run.seconds:>8.1f} {run.anonymous / 1e6:>17.0f} {run.peak / 1e6:>13.0f}", flush=True)
    return run


def opened(folder: Path) -> str:
    """The code of a process that opens the index and runs one query."""
    done = subprocess.run([sys.executable, "-c", _OPEN, str(folder)], capture_output=True, text=True, check=True)
    opening, asking, anonymous = json.loads(done.stdout)
    return f"opened in {opening:.1f} ms, first query {asking:.1f} ms, {anonymous:.0f} MB of its own"


if __name__ == "__main__":
    raise SystemExit(main())
