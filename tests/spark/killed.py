"""A preparation on Spark whose executors are killed at random, for `test_tasks`."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from embedrec.data.filters import Filters
from embedrec.readers import reader
from embedrec.spark.preparation import Preparation, TaskSizes
from embedrec.storage import artifacts
from embedrec.tabular.read_settings import ReadSettings
from embedrec.workflows.prepare import prepare_sessions
from tests.spark.twins import assert_same, write_clicks

FILTERS = Filters(min_count=3, min_length=3)
SIZES = TaskSizes(shard_bytes=3_000, ids=50, events=200)
KILLS = 2


def executors(pid: int) -> list[int]:
    """The executor processes that descend from a process, and have started a process of Python for a task."""
    listed = subprocess.run(["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [fields for line in listed.splitlines() if len(fields := line.split(None, 2)) == 3]  # ending ones lack args
    children: dict[int, list[tuple[int, str]]] = {}
    for own, parent, words in rows:
        children.setdefault(int(parent), []).append((int(own), words))
    found, waiting = [], [pid]
    while waiting:
        for child, words in children.get(waiting.pop(), []):
            waiting.append(child)
            if "CoarseGrainedExecutorBackend" in words and child in children:
                found.append(child)
    return found


@contextmanager
def killing(kills: int, shortest: float, longest: float, seed: int) -> Iterator[list[int]]:
    """Kill executors of this process that work, at random during the block, up to `kills`; their process ids.

    shortest, longest  seconds before each
    """
    done, rng = Event(), random.Random(seed)
    killed: list[int] = []

    def kill() -> None:
        while len(killed) < kills and not done.wait(rng.uniform(shortest, longest)):
            running = executors(os.getpid())
            if running:
                killed.append(rng.choice(running))
                os.kill(killed[-1], signal.SIGKILL)

    thread = Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        done.set()
        thread.join()


def prepare(spark: Any, folder: Path, kills: int = KILLS) -> int:
    """Prepare tables while executors are killed; returns how many were."""
    paths = write_clicks(folder / "given", files=6, rows=150)
    with killing(kills, 0.5, 2.5, seed=0) as killed:
        preparation = Preparation(spark, FILTERS, ReadSettings(), sizes=SIZES)
        preparation.files("table", reader("table")(), paths, folder / "spark")
    return len(killed)


def check(folder: Path) -> None:
    """Compare with one machine; nothing else is left in the folder."""
    paths = sorted((folder / "given").iterdir())
    local = prepare_sessions("table", reader("table")(), paths, folder / "local", FILTERS, ReadSettings())
    assert_same(local, artifacts.read(folder / "spark"))
    assert sorted(path.name for path in folder.iterdir()) == ["given", "local", "spark"]
