"""Measure `Sessions.from_frame` on pandas, Polars and Arrow against `embedrec prepare table` on the same Parquet file.

    pip install polars
    python scripts/bench/frames.py [--rows 10000000] [--ids numbers|texts] [--repeats 3]

The log is that of `prepare_table.py`: (session, item, time), its rows shuffled. Every run is a process of its own with
as many threads as cores; all take turns. Seconds of `prepare table` are those of its process; seconds of a frame are
those of `from_frame` alone, with the frame in memory. Memory is the growth of the peak of resident memory during
`from_frame`, in copies of the frame (three columns of 8 bytes, or what Arrow holds of texts). Libraries and compiled
kernels, 0.2 to 0.3 GB whatever the frame, are loaded before, and memory that reading the file left is released.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from prepare_table import command, generate
from processes import measure

_RATIO, _COPIES = 1.2, 2.0  # figures to reach


def main() -> int:
    """Generate the log, run all, print a table; returns 1 when a figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="events of the log")
    parser.add_argument("--ids", choices=["numbers", "texts"], default="numbers", help="what ids are")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each")
    parser.add_argument("--run", nargs=2, metavar=("KIND", "LOG"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        run(*given.run)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return compare(Path(folder), given.rows, given.ids == "texts", given.repeats)


def run(kind: str, log: str) -> None:
    """Print the seconds of `from_frame` and its copies of the frame."""
    from embedrec import Sessions
    from embedrec.kernels import sort_events
    from embedrec.tabular.code_ids import start_kernels

    frame, size = _LOAD[kind](log)
    Sessions.from_frame(frame[:1000] if kind != "arrow" else frame.slice(0, 1000), min_length=1)
    for numeric in (True, False):
        start_kernels(numeric)
    sort_events.count(np.zeros(1, np.int32), np.zeros(1, np.int64))
    pa.default_memory_pool().release_unused()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins again
    before = _resident("VmRSS")
    started = perf_counter()
    sessions = Sessions.from_frame(frame, threads=os.cpu_count() or 1)
    seconds = perf_counter() - started
    print(seconds, (_resident("VmHWM") - before) / size, len(sessions.items))


def _resident(field: str) -> int:
    """Bytes of resident memory now ("VmRSS") or at most ("VmHWM")."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) << 10


def _pandas(log: str) -> tuple[Any, int]:
    import pandas as pd

    frame = pd.read_parquet(log)
    return frame, int(frame.memory_usage(index=False, deep=True).sum())


def _polars(log: str) -> tuple[Any, int]:
    import polars as pl

    frame = pl.read_parquet(log)
    return frame, int(frame.estimated_size())


def _arrow(log: str) -> tuple[Any, int]:
    table = pq.read_table(log)
    return table, int(table.nbytes)


_LOAD: dict[str, Callable[[str], tuple[Any, int]]] = {"pandas": _pandas, "polars": _polars, "arrow": _arrow}


def compare(folder: Path, rows: int, texts: bool, repeats: int) -> int:
    """All kinds of frames against the file."""
    log = folder / "log.parquet"
    generate(log, rows, texts, shuffled=True)
    files: list[float] = []
    frames: dict[str, list[tuple[float, float]]] = {kind: [] for kind in _LOAD}
    for number in range(repeats + 1):
        whole = measure(command("embedrec", log, folder / "embedrec")).seconds
        lines = {
            kind: subprocess.run(
                [sys.executable, __file__, "--run", kind, str(log)], check=True, capture_output=True, text=True
            ).stdout
            for kind in _LOAD
        }
        if number:  # the first one warms up files and compiled kernels
            files.append(whole)
            for kind, line in lines.items():
                seconds, copies, _ = map(float, line.split())
                frames[kind].append((seconds, copies))
    print(f"{rows:,} events, ids are {'texts' if texts else 'numbers'}: prepare table {min(files):.2f} s")
    reached = True
    for kind, runs in frames.items():
        ratio, copies = min(seconds for seconds, _ in runs) / min(files), max(copies for _, copies in runs)
        good = ratio <= _RATIO and copies <= _COPIES
        reached &= good
        print(
            f"{kind:>8} {min(seconds for seconds, _ in runs):.2f} s, {ratio:.2f} times the file (≤ {_RATIO}), "
            f"{copies:.1f} copies (≤ {_COPIES:g}): {'figures reached' if good else 'FIGURES MISSED'}"
        )
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
