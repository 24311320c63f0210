"""How long does a user wait? Whole processes: `embedrec --help`, and `embedrec similar X` on n × d vectors.

usage: python scripts/bench/startup.py [--items 100000] [--dim 64] [--runs 9]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from generated import indexed


def seconds(command: list[str], runs: int) -> list[float]:
    times = []
    for _ in range(runs + 1):
        started = perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(perf_counter() - started)
    return sorted(times[1:])  # the first run warms the disk cache


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--runs", type=int, default=9)
    given = parser.parse_args()
    embedrec = str(Path(sys.executable).with_name("embedrec"))
    print(f"{given.runs} runs each, {given.items:,} × {given.dim} vectors; seconds\n\n{'':28}  median     max")
    with tempfile.TemporaryDirectory() as folder:
        rows = [("embedrec --help", [embedrec, "--help"])]
        for kind in ("flat", "ivf"):
            name = indexed(Path(folder), given.items, given.dim, kind)
            item = f"spotify:artist:{given.items // 2:022d}"
            command = [embedrec, "similar", item, "--index", name, "--workspace", folder]
            rows.append((f"embedrec similar X ({kind})", command))
        for title, command in rows:
            times = seconds(command, given.runs)
            print(f"{title:28}  {statistics.median(times):6.3f}  {times[-1]:6.3f}")


if __name__ == "__main__":
    main()
