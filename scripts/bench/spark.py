"""Spark: the cost of an event, bytes shuffled and spilled, and memory of the driver, for generated events.

usage: python scripts/bench/spark.py prepare [--events 10_000_000] [--shape even|long|hot|single] [--folder spark-bench]
                                             [--master local-cluster[2,1,1024]] [--local] [--seed 0]

prepare: `embedrec prepare table` of Parquet files with sessions of ten events, 500,000 items, and --min-count 5.
Shapes: `long` has one session of a million events, `hot` one item in half of all sessions, `single` sessions of one
event. --local prepares the same files without Spark, and compares the results byte by byte.

The files are generated once for each number of events and shape. A row has: events, shape, processor microseconds an
event (driver, JVM, executors and their Python processes), seconds, MB shuffled, MB spilled to disk, peak MB of the
driver's Python and of its Java heap, and lost executors.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FILE_EVENTS, ITEMS, LENGTH, LONG = 2_500_000, 500_000, 10, 1_000_000
CONF = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.executor.memory": "1g",
    "spark.driver.memory": "1g",
    "spark.sql.shuffle.partitions": "16",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["prepare", "one"])
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--shape", choices=["even", "long", "hot", "single"], default="even")
    parser.add_argument("--folder", type=Path, default=Path("spark-bench"))
    parser.add_argument("--master", default="local-cluster[2,1,1024]")
    parser.add_argument("--local", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.what == "one":
        prepare_one(given)
        return
    files = generate(given)
    row = measured(["one", *words(given)])
    print(json.dumps(row))
    if given.local:
        print(json.dumps(prepare_local(given, files)))


def words(given: argparse.Namespace) -> list[str]:
    return [
        *("--events", str(given.events), "--shape", given.shape, "--folder", str(given.folder)),
        *("--master", given.master, "--seed", str(given.seed)),
    ]


def data_folder(given: argparse.Namespace) -> Path:
    return given.folder / f"{given.shape}-{given.events}-{given.seed}"


def generate(given: argparse.Namespace) -> list[Path]:
    """The files of events, in order of time; sessions overlap, and some go on in the next file."""
    folder = data_folder(given)
    folder.mkdir(parents=True, exist_ok=True)
    count = max(1, -(-given.events // FILE_EVENTS))
    paths = [folder / f"events-{number:05d}.parquet" for number in range(count)]
    for number, path in enumerate(paths):
        if path.is_file():
            continue
        rng = np.random.default_rng([given.seed, number])
        start = number * FILE_EVENTS
        size = min(FILE_EVENTS, given.events - start)
        place = np.arange(start, start + size)
        span = 1 if given.shape == "single" else LENGTH
        # a window of 20,000 sessions is open at any time
        session = place // (20_000 * span) * 20_000 + rng.integers(0, 20_000, size) if span > 1 else place
        item = np.minimum((ITEMS ** rng.random(size)).astype(np.int64), ITEMS - 1)  # Zipf with exponent 1
        if given.shape == "hot":
            item[(session % 2 == 0) & (rng.random(size) < 0.3)] = 0
        if given.shape == "long":
            session[rng.random(size) < LONG / max(given.events, LONG)] = -1
        time = 1_700_000_000_000 + place * 100 + rng.integers(0, 1000, size)
        ids = pa.array(session)
        names = pa.DictionaryArray.from_arrays(
            pa.array(item.astype(np.int32)), pa.array([f"spotify:track:{i:022d}" for i in range(ITEMS)])
        )
        table = pa.table({"session_id": ids, "track_uri": names.cast(pa.string()), "timestamp": pa.array(time)})
        pq.write_table(table, path, row_group_size=1 << 20)
    return paths


def measured(command: list[str]) -> dict[str, object]:
    """The row of a run in a process of its own, with the processor time of it and of all processes below it.

    Their times are read four times a second, because the JVM does not wait for what it starts: the last quarter of a
    second of a process may be missing.
    """
    started = perf_counter()
    used: dict[int, float] = {}
    with subprocess.Popen([sys.executable, __file__, *command], stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            for pid, seconds in descendants(process.pid).items():
                used[pid] = max(used.get(pid, 0.0), seconds)
            sleep(0.25)
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
    if process.returncode:
        raise SystemExit(f"the run failed with {process.returncode}")
    row = json.loads(lines[-1])
    row["µs/event"] = round(1e6 * sum(used.values()) / row["events"], 3)
    row["seconds"] = round(perf_counter() - started, 1)
    row["load"] = round(os.getloadavg()[0], 1)
    return row


def descendants(root: int) -> dict[int, float]:
    """The processor seconds of a process and of all below it."""
    tick = os.sysconf("SC_CLK_TCK")
    parent, seconds = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        pid = int(path.parent.name)
        parent[pid], seconds[pid] = int(fields[1]), (int(fields[11]) + int(fields[12])) / tick
    below = {root}
    while new := {pid for pid, above in parent.items() if above in below} - below:
        below |= new
    return {pid: seconds[pid] for pid in below if pid in seconds}


def prepare_one(given: argparse.Namespace) -> None:
    """Prepare on Spark in this process, and print a row."""
    from embedrec.data.filters import Filters
    from embedrec.readers import reader
    from embedrec.spark.preparation import Preparation
    from embedrec.spark.session import SparkSettings, spark_session
    from embedrec.tabular.read_settings import ReadSettings

    paths = generate(given)
    conf = {**CONF, "spark.local.dir": str(given.folder.absolute())}
    with spark_session(SparkSettings(given.master, conf)) as spark:
        out = given.folder / "sessions" / "spark"
        filters = Filters(min_count=5, min_length=1 if given.shape == "single" else 2)
        done = Preparation(spark, filters, ReadSettings()).files("table", reader("table")(), paths, out)
        row = {
            "events": given.events,
            "shape": given.shape,
            "kept": done.about["events"],
            "phase seconds": done.about["seconds"],
            **spark_figures(spark),
            "driver MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        }
    print(json.dumps(row))


def spark_figures(spark: object) -> dict[str, int]:
    """MB shuffled and spilled, lost executors, peak MB of the heap of the driver."""
    context = spark._jsc.sc()  # type: ignore[attr-defined]
    gateway = spark.sparkContext._gateway  # type: ignore[attr-defined]
    none = gateway.new_array(gateway.jvm.double, 0)
    stages = context.statusStore().stageList(None, False, False, none, gateway.jvm.java.util.ArrayList())
    written = spilled = failed = 0
    for number in range(stages.size()):
        stage = stages.apply(number)
        written += stage.shuffleWriteBytes()
        spilled += stage.diskBytesSpilled()
        failed += stage.numFailedTasks()
    heap = 0
    pools = spark._jvm.java.lang.management.ManagementFactory.getMemoryPoolMXBeans()  # type: ignore[attr-defined]
    for pool in pools:
        if str(pool.getType()) == "Heap memory":
            heap += pool.getPeakUsage().getUsed()
    return {"shuffled MB": written >> 20, "spilled MB": spilled >> 20, "failed tasks": failed, "heap MB": heap >> 20}


def prepare_local(given: argparse.Namespace, paths: list[Path]) -> dict[str, object]:
    """Prepare without Spark, and compare the files of both artifacts."""
    from embedrec.data.filters import Filters
    from embedrec.readers import reader
    from embedrec.storage import artifacts
    from embedrec.tabular.read_settings import ReadSettings
    from embedrec.workflows.prepare import prepare_sessions

    used, started = resource.getrusage(resource.RUSAGE_SELF), perf_counter()
    filters = Filters(min_count=5, min_length=1 if given.shape == "single" else 2)
    local = prepare_sessions(
        "table", reader("table")(), paths, given.folder / "sessions" / "local", filters, ReadSettings()
    )
    now = resource.getrusage(resource.RUSAGE_SELF)
    seconds = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    other = artifacts.read(given.folder / "sessions" / "spark")
    differ = [name for name, entry in other.files.items() if local.files[name]["sha256"] != entry["sha256"]]
    return {
        "engine": "local",
        "µs/event": round(1e6 * seconds / given.events, 3),
        "seconds": round(perf_counter() - started, 1),
        "different files": differ,
    }


if __name__ == "__main__":
    main()
