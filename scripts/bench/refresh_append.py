"""Appending 1 % of a log to the rest, against one `prepare` of all of it.

usage: python scripts/bench/refresh_append.py [--events 50000000] [--kind csv|parquet] [--memory SIZE] [--folder FOLDER]

A log of (session, item, time), ordered by time as in `prepare_table.py`, is cut into the first 99 % and the last 1 %.
Each step is a process of the command line: `prepare` of both files, `prepare` of the first, `prepare --append` of the
second, `info --sessions` (the first read, which joins both). Filters are --min-count 5 --min-length 2. Then the files
of the joined sessions are compared with those of the whole. Prints seconds with start and imports, processor seconds
(which other work on the machine changes less), peak memory, and sizes.
"""

from __future__ import annotations

import argparse
import resource
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
from prepare_table import generate
from processes import Run, measure
from pyarrow import csv

from embedrec.data.joined import kept_join
from embedrec.storage import artifacts

SHARE = 0.03  # of the seconds of a whole `prepare`, to reach


def main() -> int:
    """Generate, run, compare; returns 1 if a figure is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=50_000_000, help="events of the whole log")
    parser.add_argument("--kind", choices=["csv", "parquet"], default="csv", help="format of the files")
    parser.add_argument("--memory", help="limit of --memory")
    parser.add_argument("--folder", type=Path, help="folder for the files; default: a temporary one")
    given = parser.parse_args()
    with TemporaryDirectory(dir=given.folder) as name:
        return run(Path(name), given.events, given.kind, ["--memory", given.memory] if given.memory else [])


def run(folder: Path, events: int, kind: str, memory: list[str]) -> int:
    """All steps in a folder."""
    first, second = cut(folder, events, kind)
    options = ["--min-count", "5", "--min-length", "2", "--threads", "1", "--workspace", str(folder)]
    steps = {
        "whole": ["prepare", "table", str(first), str(second), "--name", "whole", *options, *memory],
        "first": ["prepare", "table", str(first), "--name", "log", *options, *memory],
        "append": ["prepare", "table", str(second), "--append", "log", *options[-4:], *memory],
        "join": ["info", "log", "--sessions", "--json", "--workspace", str(folder)],
    }
    print(f"{events:,} events, {kind}{' '.join(['', *memory])}")
    print(f"{'step':>8} {'seconds':>8} {'processor':>10} {'MB':>6} {'MB without files':>17}")
    runs: dict[str, Run] = {}
    processor: dict[str, float] = {}
    for step, words in steps.items():
        before = processor_seconds()
        run = runs[step] = measure([sys.executable, "-m", "embedrec.cli.main", *words])
        processor[step] = processor_seconds() - before
        memories = f"{run.peak / 1e6:>6.0f} {run.anonymous / 1e6:>17.0f}"
        print(f"{step:>8} {run.seconds:>8.2f} {processor[step]:>10.2f} {memories}", flush=True)
    whole, log = (artifacts.read(folder / "sessions" / name) for name in ("whole", "log"))
    joined = kept_join(log)
    equal = joined is not None and joined.files == whole.files
    sizes = {name: entry["bytes"] for name, entry in whole.files.items()}
    kept = sum(size for name, size in sizes.items() if name.startswith("log_"))
    share, busy = (times["append"] / times["whole"] for times in ({k: r.seconds for k, r in runs.items()}, processor))
    print(
        f"what filters removed takes {kept / 1e6:.0f} MB beside {(sum(sizes.values()) - kept) / 1e6:.0f} MB of sessions"
    )
    print(f"joined equals whole: {equal}")
    print(f"append takes {share:.1%} of the seconds of the whole (≤ {SHARE:.0%}), {busy:.1%} of the processor's")
    return 0 if equal and share <= SHARE else 1


def processor_seconds() -> float:
    """Of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cut(folder: Path, events: int, kind: str) -> tuple[Path, Path]:
    """The files of the first 99 % and of the last 1 % of a log."""
    generate(folder / "log", events, texts=False, shuffled=False)
    paths = folder / f"1.{kind}", folder / f"2.{kind}"
    source = pq.ParquetFile(folder / "log")
    left = events - events // 100
    writers = [(pq.ParquetWriter if kind == "parquet" else csv.CSVWriter)(path, source.schema_arrow) for path in paths]
    for batch in source.iter_batches():
        head = batch.slice(0, max(left, 0))
        for writer, part in zip(writers, (head, batch.slice(len(head))), strict=True):
            if len(part):
                writer.write_batch(part)
        left -= len(batch)
    for writer in writers:
        writer.close()
    (folder / "log").unlink()
    return paths


if __name__ == "__main__":
    raise SystemExit(main())
