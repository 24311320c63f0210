"""Measure `embedrec prepare mpd`: seconds and peak memory on the given slices, and on many copies of them.

    python scripts/bench/prepare_mpd.py [DATA] [--times 20]

The copies are in a temporary folder and have their own playlist ids. Memory is the sum of the resident sets of all
processes of the run, read every 20 ms from /proc.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
_SECONDS = 4.0  # figures to reach
_GIGABYTES = 2.5
_PAGE = 4096
_APART = 10_000_000  # between the playlist ids of two copies


class Run(NamedTuple):
    """Time, memory and output of a run."""

    files: int
    bytes: int
    seconds: float
    peak: int
    printed: str


def main() -> int:
    """Run both, print a table; returns 1 if a bound is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=DATA, help="folder of data sets, with mpd/train in it")
    parser.add_argument("--times", type=int, default=20, help="how many times the files (default 20)")
    parser.add_argument("--level", choices=["artist", "track"], default="artist")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        many = Path(folder) / "many"
        multiply(given.data / "mpd" / "train", many, given.times)
        measure(given.data / "mpd" / "train", given.level, Path(folder) / "warm-up")
        once = measure(given.data / "mpd" / "train", given.level, Path(folder) / "once")
        often = measure(many, given.level, Path(folder) / "often")
    print(f"{'files':>6} {'MB':>7} {'seconds':>8} {'MB/s':>6} {'peak MB':>8}  sessions, items, events")
    for run in (once, often):
        print(
            f"{run.files:>6} {run.bytes / 1e6:>7.0f} {run.seconds:>8.2f} {run.bytes / 1e6 / run.seconds:>6.0f} "
            f"{run.peak / 1e6:>8.0f}  {' '.join(run.printed.split())}"
        )
    factor = often.seconds / once.seconds
    print(f"{given.times} times the files: {factor:.1f} times the seconds")
    reached = once.seconds <= _SECONDS and factor <= given.times and often.peak < _GIGABYTES * 1e9
    print("figures reached" if reached else "FIGURES MISSED", f"(≤ {_SECONDS} s, < {_GIGABYTES} GB)")
    return 0 if reached else 1


def multiply(data: Path, many: Path, times: int) -> None:
    """Copy the slices `times` times, with distinct playlist ids."""
    many.mkdir()
    for source in sorted(data.glob("*.json")):
        content = source.read_bytes()
        for copy in range(times):
            shift = copy * _APART

            def moved(match: re.Match[bytes], shift: int = shift) -> bytes:
                return b'"pid":%d' % (int(match[1]) + shift)

            target = many / f"mpd.slice.{copy}.{source.stem.removeprefix('mpd.slice.')}.json"
            target.write_bytes(re.sub(rb'"pid": ?([0-9]+)', moved, content))


def measure(data: Path, level: str, workspace: Path) -> Run:
    """Run the command in its own process."""
    files = sorted(data.glob("*.json"))
    command = [sys.executable, "-m", "embedrec.cli.main", "prepare", "mpd", str(data), "--level", level]
    started = time.perf_counter()
    with subprocess.Popen(
        [*command, "--workspace", str(workspace)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, resident(process.pid))
            time.sleep(0.02)
        seconds = time.perf_counter() - started
        printed, log = process.communicate()
    if process.returncode:
        raise SystemExit(f"prepare failed:\n{log}")
    return Run(len(files), sum(f.stat().st_size for f in files), seconds, peak, printed)


def resident(root: int) -> int:
    """Bytes of the resident sets of a process and its descendants."""
    parents, sizes = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
                sizes[int(entry.name)] = int((entry / "statm").read_text().split()[1]) * _PAGE
            except (OSError, IndexError):  # it has ended meanwhile
                continue
            parents[int(entry.name)] = int(after_name[1])
    total = 0
    for pid, size in sizes.items():
        at = pid
        while at not in (0, root):
            at = parents.get(at, 0)
        total += size if at == root else 0
    return total


if __name__ == "__main__":
    raise SystemExit(main())
