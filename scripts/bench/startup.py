"""Time that a user waits for a fresh process: `import embedrec`, `embedrec --help`, and `embedrec similar X`.

Bytecode is present and files are in the disk cache, as from the second start on. Medians of wall time and of processor
time, which depends less on what else runs on the machine.

usage: python scripts/bench/startup.py [--items 100000] [--dim 64] [--runs 15]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from time import perf_counter

from generated import indexed


def seconds(command: list[str], runs: int) -> tuple[list[float], list[float]]:
    """Wall times and processor times of the runs after the first, which writes bytecode and warms the disk cache."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    wall, processor = [], []
    for _ in range(runs + 1):
        before, started = getrusage(RUSAGE_CHILDREN), perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=env)
        wall.append(perf_counter() - started)
        after = getrusage(RUSAGE_CHILDREN)
        processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return wall[1:], processor[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--runs", type=int, default=15)
    given = parser.parse_args()
    embedrec = str(Path(sys.executable).with_name("embedrec"))
    print(f"{given.runs} fresh processes each, {given.items:,} × {given.dim} vectors; seconds:\n")
    print("| | wall, median | wall, least | processor, median |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            ("python -c 'import embedrec'", [sys.executable, "-c", "import embedrec"]),
            ("embedrec --help", [embedrec, "--help"]),
        ]
        for kind in ("flat", "ivf"):
            name = indexed(Path(folder), given.items, given.dim, kind)
            item = f"spotify:artist:{given.items // 2:022d}"
            command = [embedrec, "similar", item, "--index", name, "--workspace", folder]
            rows.append((f"embedrec similar X --index {kind}", command))
        for title, command in rows:
            wall, processor = seconds(command, given.runs)
            print(f"| `{title}` | {median(wall):.3f} | {min(wall):.3f} | {median(processor):.3f} |", flush=True)


if __name__ == "__main__":
    main()
