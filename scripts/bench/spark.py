"""Spark: the cost of an event, bytes shuffled and spilled, memory of the driver, and what killed executors change.

usage: python scripts/bench/spark.py prepare [--events 10_000_000 30_000_000] [--shape even|long|hot|single] [--local]
                                             [--folder spark-bench] [--rows FILE] [--master local-cluster[2,1,1024]]
       python scripts/bench/spark.py slope --rows FILE [--to 2_250_000_000] [--price 0.05] [--cores 2 16 128]
       python scripts/bench/spark.py kills [--kills 50] [--seed 0]

prepare: `embedrec prepare table` of Parquet files with sessions of ten events, 500,000 items, and --min-count 5.
Shapes: `long` has one session of a million events, `hot` one item in half of all sessions, `single` sessions of one
event. --local prepares the same files without Spark, too, and compares the results byte by byte. Sizes share the
generated files, which stay in --folder (about 17 bytes an event); results are removed.

A line has: µs of processor time an event (driver, JVM, executors and their Python processes), seconds, MB shuffled, MB
spilled to disk, peak MB of the Python process of the driver and of its Java heap, lost executors, and the most bytes an
event that the workspace and the folder of the shuffle took. --rows adds the lines to a file, as JSON.

slope: the lines of files of rows (of `prepare`, and of spark_counts.py), a straight line through them, and what it says
of a larger log: see spark_slope.py. kills: see spark_kills.py.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from spark_figures import CONF, HEADER, MASTER, measured, spark_figures, table_line

FILE_EVENTS, ITEMS, LENGTH, LONG = 2_500_000, 500_000, 10, 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["prepare", "slope", "kills", "one", "one-local"])
    parser.add_argument("--events", nargs="+", type=int, default=[10_000_000])
    parser.add_argument("--shape", choices=["even", "long", "hot", "single"], default="even")
    parser.add_argument("--folder", type=Path, default=Path("spark-bench"))
    parser.add_argument("--rows", nargs="+", type=Path, default=[])
    parser.add_argument("--master", default=MASTER)
    parser.add_argument("--local", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--to", type=int, default=2_250_000_000)
    parser.add_argument("--price", type=float, default=0.05, help="of a core and an hour")
    parser.add_argument("--cores", nargs="+", type=int, default=[2, 16, 128])
    parser.add_argument("--kills", type=int, default=50)
    given = parser.parse_args()
    if given.what == "one":
        prepare_one(given)
    elif given.what == "one-local":
        prepare_local(given)
    elif given.what == "slope":
        from spark_slope import print_slopes

        print_slopes(given.rows, given.to, given.price, given.cores)
    elif given.what == "kills":
        from spark_kills import kill_executors

        raise SystemExit(kill_executors(given.kills, given.seed) > 0)
    else:
        print(HEADER, flush=True)
        for events in given.events:
            prepare(given, events)


def prepare(given: argparse.Namespace, events: int) -> None:
    """Prepare so many events on Spark, and on this machine with --local; print and keep the rows."""
    given.events = [events]
    generate(given)
    words = [*("--events", str(events), "--shape", given.shape, "--folder", str(given.folder))]
    words += ["--master", given.master, "--seed", str(given.seed)]
    work = given.folder / "work"
    for what in ["one", "one-local"] if given.local else ["one"]:
        row = measured([__file__, what, *words], work)
        for file in given.rows:
            with file.open("a") as out:
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
        print(table_line(row), flush=True)
        if row.get("different files"):
            raise SystemExit(f"other bytes than on Spark: {', '.join(row['different files'])}")
    shutil.rmtree(work)


def generate(given: argparse.Namespace) -> list[Path]:
    """The files of events, in order of time; sessions overlap, and some go on in the next file.

    A file depends on its number only, so that a larger log begins with the files of a smaller one; but for `long`,
    where the share of the long session depends on the size.
    """
    events = given.events[0]
    name = f"{given.shape}-{given.seed}" + (f"-{events}" if given.shape == "long" else "")
    folder = given.folder / name
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(-(-events // FILE_EVENTS)):
        start = number * FILE_EVENTS
        size = min(FILE_EVENTS, events - start)
        path = folder / f"events-{number:05d}{'' if size == FILE_EVENTS else f'-{size}'}.parquet"
        paths.append(path)
        if path.is_file():
            continue
        rng = np.random.default_rng([given.seed, number])
        place = np.arange(start, start + size)
        span = 1 if given.shape == "single" else LENGTH
        # a window of 20,000 sessions is open at any time
        session = place // (20_000 * span) * 20_000 + rng.integers(0, 20_000, size) if span > 1 else place
        item = np.minimum((ITEMS ** rng.random(size)).astype(np.int64), ITEMS - 1)  # Zipf with exponent 1
        if given.shape == "hot":
            item[(session % 2 == 0) & (rng.random(size) < 0.3)] = 0
        if given.shape == "long":
            session[rng.random(size) < LONG / max(events, LONG)] = -1
        time = 1_700_000_000_000 + place * 100 + rng.integers(0, 1000, size)
        ids = pa.array(session)
        names = pa.DictionaryArray.from_arrays(
            pa.array(item.astype(np.int32)), pa.array([f"spotify:track:{i:022d}" for i in range(ITEMS)])
        )
        table = pa.table({"session_id": ids, "track_uri": names.cast(pa.string()), "timestamp": pa.array(time)})
        pq.write_table(table, path.with_suffix(".part"), row_group_size=1 << 20)
        path.with_suffix(".part").replace(path)
    return paths


def prepare_one(given: argparse.Namespace) -> None:
    """Prepare on Spark in this process, and print a row."""
    from embedrec.readers import reader
    from embedrec.spark.preparation import Preparation
    from embedrec.spark.session import SparkSettings, spark_session
    from embedrec.tabular.read_settings import ReadSettings

    paths = generate(given)
    work = given.folder.absolute() / "work"
    (work / "local").mkdir(parents=True, exist_ok=True)
    with spark_session(SparkSettings(given.master, {**CONF, "spark.local.dir": str(work / "local")})) as spark:
        preparation = Preparation(spark, filters(given), ReadSettings())
        done = preparation.files("table", reader("table")(), paths, work / "sessions" / "spark")
        print(json.dumps({**about(given, "spark"), "phases": done.about["seconds"], **spark_figures(spark)}))


def prepare_local(given: argparse.Namespace) -> None:
    """Prepare without Spark in this process, and print a row with the files that differ from those of Spark."""
    from embedrec.readers import reader
    from embedrec.storage import artifacts
    from embedrec.tabular.read_settings import ReadSettings
    from embedrec.workflows.prepare import prepare_sessions

    folder, started = given.folder / "work" / "sessions", perf_counter()
    paths, settings = generate(given), ReadSettings()
    local = prepare_sessions("table", reader("table")(), paths, folder / "local", filters(given), settings)
    other = artifacts.read(folder / "spark")
    differ = [name for name, entry in other.files.items() if local.files[name]["sha256"] != entry["sha256"]]
    row = {
        **about(given, "local"),
        "phases": round(perf_counter() - started, 3),
        "driver MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "different files": differ,
    }
    print(json.dumps(row))


def filters(given: argparse.Namespace) -> Any:
    """The filters of both engines."""
    from embedrec.data.filters import Filters

    return Filters(min_count=5, min_length=1 if given.shape == "single" else 2)


def about(given: argparse.Namespace, engine: str) -> dict[str, Any]:
    """What a row is about."""
    return {"what": "prepare", "shape": given.shape, "engine": engine, "events": given.events[0]}


if __name__ == "__main__":
    main()
