"""Figures of computations on Spark, for the benches: processor time, shuffles, memory, disk, lost executors."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

MASTER = "local-cluster[2,1,1024]"  # two executors, processes of 1 GB
CONF = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.executor.memory": "1g",
    "spark.driver.memory": "1g",
    "spark.sql.shuffle.partitions": "16",
}
HEADER = (
    "| what | shape | engine | events | µs/event | seconds | shuffled MB | spilled MB | driver MB | heap MB | lost "
    "| disk B/event | load |\n|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
)
_KEYS = (
    *("what", "shape", "engine", "events", "µs/event", "seconds", "shuffled MB", "spilled MB", "driver MB"),
    *("heap MB", "lost", "disk B/event", "load"),
)


def table_line(row: dict[str, Any]) -> str:
    """A row of the table of `HEADER`; figures that an engine does not have are empty."""
    cells = [f"{value:,}" if isinstance(value := row.get(key, ""), int) else str(value) for key in _KEYS]
    return f"| {' | '.join(cells)} |"


def measured(command: list[str], disk: Path) -> dict[str, Any]:
    """The row of a run of this kind of bench in a process of its own, completed.

    command  a Python script and its arguments, whose last line is a row: a JSON object with "events"
    disk     folder whose largest size is measured, above that at the start

    Adds the microseconds of processor time an event of the process and of all below it, seconds, bytes of the disk an
    event, and the load. Times are read four times a second, because the JVM does not wait for what it starts: the last
    quarter of a second of a process may be missing.
    """
    started = perf_counter()
    used: dict[int, float] = {}
    empty = size = folder_bytes(disk)
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True) as process:
        look = 0
        while process.poll() is None:
            for pid, seconds in _descendants(process.pid).items():
                used[pid] = max(used.get(pid, 0.0), seconds)
            if look % 8 == 0:
                size = max(size, folder_bytes(disk))
            look += 1
            sleep(0.25)
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
    if process.returncode:
        raise SystemExit(f"the run failed with {process.returncode}")
    row: dict[str, Any] = json.loads(lines[-1])
    events = row["events"]
    return row | {
        "µs/event": round(1e6 * sum(used.values()) / events, 3),
        "seconds": round(perf_counter() - started, 1),
        "disk B/event": round((size - empty) / events, 1),
        "load": round(os.getloadavg()[0], 1),
    }


def folder_bytes(folder: Path) -> int:
    """The bytes of the files in a folder on the disk."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(path) / name).stat().st_blocks * 512
            except OSError:  # it has just been removed
                continue
    return total


def _descendants(root: int) -> dict[int, float]:
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


def spark_figures(spark: Any) -> dict[str, int]:
    """MB shuffled and spilled, lost executors, and the peak MB of the Python process and of the heap of the driver."""
    written = spilled = 0
    for stage in _stages(spark):
        written += stage.shuffleWriteBytes()
        spilled += stage.diskBytesSpilled()
    heap = 0
    for pool in spark._jvm.java.lang.management.ManagementFactory.getMemoryPoolMXBeans():
        if str(pool.getType()) == "Heap memory":
            heap += pool.getPeakUsage().getUsed()
    store = spark._jsc.sc().statusStore()
    return {
        "shuffled MB": written >> 20,
        "spilled MB": spilled >> 20,
        "driver MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "heap MB": heap >> 20,
        "lost": store.executorList(False).size() - store.executorList(True).size(),
    }


def failed_tasks(spark: Any) -> int:
    """The tasks of all stages that failed, or whose executor was lost."""
    return sum(stage.numFailedTasks() for stage in _stages(spark))


def _stages(spark: Any) -> Iterator[Any]:
    gateway = spark.sparkContext._gateway
    none = gateway.new_array(gateway.jvm.double, 0)
    stages = spark._jsc.sc().statusStore().stageList(None, False, False, none, gateway.jvm.java.util.ArrayList())
    return (stages.apply(number) for number in range(stages.size()))
