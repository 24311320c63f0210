"""Measure `embedrec prepare table` on a generated log against the same job with Polars and DuckDB.

    pip install polars duckdb
    python scripts/bench/prepare_table.py [--rows 10000000] [--ids numbers|texts] [--repeats 3]
    python scripts/bench/prepare_table.py --memory 512M

A log is one Parquet file of (session, item, time): sessions of five events on average, 500,000 items by Zipf's law,
times in seconds; its rows are shuffled, or ordered by time with interleaved sessions. The job: sort by session
and time (stable); number items by descending count; write offsets, items, times and both lists of ids, flushed to disk.
embedrec also checks rows, numbers sessions by first appearance and writes checksums.

Every run is a process with as many threads as cores; runs alternate, so that other work on the machine affects all
alike. Seconds are those of the fastest run, with start and imports; MB is the peak resident memory.

With --memory, only embedrec prepares a log of ten times that memory (24 bytes per event), and MB is the peak of
anonymous resident memory (without files, whose memory the system can reclaim).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from processes import Run, measure

_RATIO = 1.5  # figures to reach: times the seconds of the faster of the others,
_TIMES_ARRAYS = 4  # times the columns as arrays
_LONGER = 10  # times the memory that is given
_EVENT = 24  # bytes: three columns of int64
_ITEMS, _ZIPF, _EVENTS_A_SESSION = 500_000, 1.1, 5
_BLOCK = 1 << 20  # rows generated at once
_START, _SPAN, _SESSION = 1_600_000_000, 30_000_000, 3600  # seconds


def main() -> int:
    """Generate logs, run all, print a table; returns 1 if a bound is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="events of the log")
    parser.add_argument("--ids", choices=["numbers", "texts"], default="numbers", help="what ids are")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each")
    parser.add_argument("--memory", help="run embedrec alone under this budget, on a log ten times as large")
    parser.add_argument("--run", nargs=3, metavar=("TOOL", "LOG", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        tool, log, folder = given.run
        _BY_HAND[tool](log, Path(folder))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        if given.memory:
            return out_of_core(Path(folder), given.memory)
        return compare(Path(folder), given.rows, given.ids == "texts", given.repeats)


def compare(folder: Path, rows: int, texts: bool, repeats: int) -> int:
    """All three on both orders of rows."""
    reached = True
    print(f"{rows:,} events" + ("" if texts else f"; their columns as arrays take {rows * _EVENT / 1e6:.0f} MB"))
    print(f"{'rows':>10} {'tool':>10} {'seconds':>8} {'all runs':>20} {'peak MB':>8}")
    for order in ("shuffled", "by time"):
        log = folder / "log.parquet"
        generate(log, rows, texts, shuffled=order == "shuffled")
        runs: dict[str, list[Run]] = {tool: [] for tool in ("embedrec", *_BY_HAND)}
        for number in range(repeats + 1):
            for tool, done in runs.items():
                run = measure(command(tool, log, folder / tool))
                if number:  # the first one warms up files and compiled kernels
                    done.append(run)
        fastest = {tool: min(run.seconds for run in done) for tool, done in runs.items()}
        for tool, done in runs.items():
            every = " ".join(f"{run.seconds:.2f}" for run in done)
            peak = max(run.peak for run in done) / 1e6
            print(f"{order:>10} {tool:>10} {fastest[tool]:>8.2f} {every:>20} {peak:>8.0f}")
        ratio = fastest["embedrec"] / min(fastest[tool] for tool in _BY_HAND)
        arrays = max(run.peak for run in runs["embedrec"]) / (rows * _EVENT)
        good, said = ratio <= _RATIO, f"{ratio:.2f} times the faster of the others (≤ {_RATIO})"
        if not texts:  # whose size is another
            good &= arrays <= _TIMES_ARRAYS
            said += f", {arrays:.1f} times the arrays (≤ {_TIMES_ARRAYS})"
        reached &= good
        print(f"{order:>10} {'':>10} {said}: {'figures reached' if good else 'FIGURES MISSED'}")
    return 0 if reached else 1


def out_of_core(folder: Path, memory: str) -> int:
    """embedrec on a log ten times as large as its memory limit."""
    from embedrec.storage.memory_budget import parse_size

    budget = parse_size(memory)
    rows = budget * _LONGER // _EVENT
    log = folder / "log.parquet"
    generate(log, rows, texts=False, shuffled=True, sessions=min(rows // _EVENTS_A_SESSION, budget // 256))
    run = measure([*command("embedrec", log, folder / "embedrec"), "--memory", memory])
    reached = run.anonymous <= budget
    print(
        f"{rows:,} events ({rows * _EVENT / 1e6:,.0f} MB as arrays, {log.stat().st_size / 1e6:,.0f} MB of Parquet) "
        f"under --memory {memory}: {run.seconds:.0f} s, at most {run.anonymous / 1e6:.0f} MB resident without files, "
        f"{run.peak / 1e6:.0f} MB with them: {'figure reached' if reached else 'FIGURE MISSED'} "
        f"(≤ {budget / 1e6:.0f} MB)"
    )
    return 0 if reached else 1


def generate(path: Path, rows: int, texts: bool, *, shuffled: bool, sessions: int = 0) -> None:
    """Write a log, block by block; if ordered by time, each block is the next period."""
    rng = np.random.default_rng(0)
    sessions = sessions or rows // _EVENTS_A_SESSION
    starts = np.sort(rng.integers(0, _SPAN, sessions))
    numbers = rng.permutation(sessions) * 977 + 10**9  # ids of sessions
    items = rng.permutation(_ITEMS) + 10**7
    kind = pa.string() if texts else pa.int64()
    schema = pa.schema([("session", kind), ("item", kind), ("time", pa.int64())])
    with pq.ParquetWriter(path, schema) as file:
        for at in range(0, rows, _BLOCK):
            count = min(_BLOCK, rows - at)
            if shuffled:
                session = rng.integers(0, sessions, count)
            else:
                session = rng.integers(sessions * at // rows, sessions * (at + count) // rows, count)
            seconds = starts[session] + rng.integers(0, _SESSION, count)
            if not shuffled:
                order = np.argsort(seconds, kind="stable")
                session, seconds = session[order], seconds[order]
            ids, sold = numbers[session], items[_zipf(rng, count)]
            columns = [_uuids(ids), _texts(sold)] if texts else [pa.array(ids), pa.array(sold)]
            file.write_table(pa.table([*columns, pa.array(seconds + _START)], schema=schema))


def _zipf(rng: np.random.Generator, count: int) -> np.ndarray:
    found = np.empty(0, dtype=np.int64)
    while len(found) < count:
        more = rng.zipf(_ZIPF, 2 * count)
        found = np.concatenate([found, more[more <= _ITEMS]])
    return found[:count] - 1


def _uuids(numbers: np.ndarray) -> pa.Array:
    mixed = (numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)).tolist()
    return pa.array([f"{m >> 32:08x}-{m >> 16 & 0xFFFF:04x}-4{m & 0xFFF:03x}-a000-{m:012x}"[:36] for m in mixed])


def _texts(numbers: np.ndarray) -> pa.Array:
    return pa.array([f"sku-{n}" for n in numbers.tolist()])


def command(tool: str, log: Path, folder: Path) -> list[str]:
    """The command line of one run of a tool."""
    if tool != "embedrec":
        return [sys.executable, __file__, "--run", tool, str(log), str(folder)]
    words = ["prepare", "table", str(log), "--session", "session", "--item", "item", "--time", "time"]
    return [sys.executable, "-m", "embedrec.cli.main", *words, "--min-length", "1", "--workspace", str(folder)]


def polars(log: str, folder: Path) -> None:
    """The job with Polars."""
    import polars as pl

    table = pl.read_parquet(log)
    items = table["item"].value_counts(sort=False).sort(["count", "item"], descending=[True, False])
    rows = items.with_row_index("row").select("item", pl.col("row").cast(pl.Int32))
    table = table.sort(["session", "time"], maintain_order=True)
    table = table.join(rows, on="item", how="left", maintain_order="left")
    runs = table["session"].rle().struct.unnest()
    folder.mkdir(exist_ok=True)
    runs.select("value").write_parquet(folder / "sessions.parquet")
    items.write_parquet(folder / "vocab.parquet")
    lengths = runs["len"].to_numpy()
    _write(folder, lengths, table["row"].to_numpy(), (table["time"] * 1000).to_numpy())


def duckdb(log: str, folder: Path) -> None:
    """The job with DuckDB."""
    import duckdb as db

    folder.mkdir(exist_ok=True)
    connection = db.connect()
    connection.execute("SET preserve_insertion_order = false")
    connection.execute(
        "CREATE TEMP TABLE vocab AS SELECT item, n, (row_number() OVER (ORDER BY n DESC, item) - 1)::INT AS row "
        f"FROM (SELECT item, count(*) AS n FROM read_parquet('{log}') GROUP BY item)"
    )
    connection.execute(f"COPY (SELECT item, n FROM vocab ORDER BY row) TO '{folder / 'vocab.parquet'}'")
    table = connection.execute(
        "SELECT session, row, time * 1000 AS time "
        f"FROM read_parquet('{log}', file_row_number = true) JOIN vocab USING (item) "
        "ORDER BY session, time, file_row_number"
    ).fetchnumpy()
    session = np.asarray(table["session"])
    starts = np.flatnonzero(np.append(True, session[1:] != session[:-1]))
    pq.write_table(pa.table({"id": pa.array(session[starts].tolist())}), folder / "sessions.parquet")
    _write(folder, np.diff(np.append(starts, len(session))), np.asarray(table["row"]), np.asarray(table["time"]))


_BY_HAND = {"polars": polars, "duckdb": duckdb}


def _write(folder: Path, lengths: np.ndarray, items: np.ndarray, times: np.ndarray) -> None:
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    for name, array in (("offsets", offsets), ("items", items), ("times", times)):
        np.save(folder / f"{name}.npy", array)
    _flush(folder.iterdir())


def _flush(files: Iterable[Path]) -> None:
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


if __name__ == "__main__":
    raise SystemExit(main())
