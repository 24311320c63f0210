"""Counts of item pairs on Spark: cost an event by size, spilled shuffle, memory of the driver, and one machine.

    python scripts/bench/spark_counts.py --events 1_000_000 2_000_000 4_000_000
    python scripts/bench/spark_counts.py --events 2_000_000 --case hot          an item in half of all sessions
    python scripts/bench/spark_counts.py --events 2_000_000 --case long         a session with a twentieth of all events

Sessions are those of a large shop, see `generated.shopping`. Every size runs in a process of its own, with executors
that are processes of 1 GB. With --local, the model of one machine is trained too, and compared byte by byte.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from generated import shopping

from embedrec.data import Sessions
from embedrec.models import recipe_class
from embedrec.models.base import Model
from embedrec.models.serialization import load_model

MASTER = "local-cluster[2,1,1024]"
ITEMS = 200_000
EVENTS_A_SESSION = 4.9  # of `shopping`


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", nargs="+", type=int, default=[1_000_000, 2_000_000, 4_000_000])
    parser.add_argument("--model", default="cooccurrence", help="cooccurrence, svd, ar, sr or popular")
    parser.add_argument("--case", choices=["plain", "hot", "long"], default="plain")
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--master", default=MASTER)
    parser.add_argument("--local", action="store_true", help="also train on one machine, and compare")
    parser.add_argument("--folder", type=Path, help="for the data, kept; a temporary one by default")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)  # engine, sessions, model: a child process
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one[0], Path(given.one[1]), Path(given.one[2]), given.model, given.master)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        for events in given.events:
            compare(folder / f"{given.case}-{events}", events, given)


def compare(folder: Path, events: int, given: argparse.Namespace) -> None:
    """Train a model of so many events on Spark, and on one machine if that is wanted."""
    sessions = folder / "sessions" / "shop"
    if not sessions.exists():
        generated(events, given.items, given.case).save(sessions, {})
    size = len(np.load(sessions / "items.npy", mmap_mode="r"))
    spark = child(given, "spark", sessions, folder / "models" / f"{given.model}-spark")
    print(
        f"{given.model} {given.case} {size:,} events: {spark['seconds']:.1f} s, "
        f"{spark['seconds'] / size * 1e6:.2f} µs an event, {spark['tasks']} s of tasks, "
        f"shuffle {spark['shuffle'] / 2**20:,.0f} MB, spilled "
        f"{spark['spilled'] / 2**20:,.0f} MB, driver {spark['peak'] / 2**20:,.0f} MB",
        flush=True,
    )
    if given.local:
        local = child(given, "local", sessions, folder / "models" / f"{given.model}-local")
        pair = [load_model(folder / "models" / f"{given.model}-{engine}") for engine in ("spark", "local")]
        print(
            f"    one machine: {local['seconds']:.1f} s, {local['seconds'] / size * 1e6:.2f} µs an event, "
            f"{local['peak'] / 2**20:,.0f} MB; {'the same bytes' if alike(*pair) else 'OTHER BYTES'}",
            flush=True,
        )


def alike(a: Model, b: Model) -> bool:
    """Whether the arrays of two models are equal in every byte."""
    return a.arrays.keys() == b.arrays.keys() and all(
        np.asarray(a.arrays[name]).tobytes() == np.asarray(b.arrays[name]).tobytes() for name in a.arrays
    )


def generated(events: int, items: int, case: str) -> Sessions:
    """Sessions of about so many events; "hot": one item in half of them; "long": one has a twentieth of the events."""
    sessions = shopping(int(events / EVENTS_A_SESSION), items, seed=1)
    rows, offsets = sessions.items.copy(), sessions.offsets
    if case == "hot":
        rows[offsets[:-1][::2]] = 0
    if case == "long":
        cut = np.searchsorted(offsets, len(rows) // 20)
        rows[: offsets[cut]] %= 300  # its different items; all pairs of more would be another bench
        offsets = np.concatenate([[0], offsets[cut:]])
    return Sessions(offsets, rows, sessions.vocab, np.arange(len(offsets) - 1)).drop_unused_items()


def child(given: argparse.Namespace, engine: str, sessions: Path, model: Path) -> dict[str, Any]:
    """The figures of a training in a process of its own."""
    words = ["--one", engine, str(sessions), str(model), "--model", given.model, "--master", given.master]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-4000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def one(engine: str, sessions: Path, folder: Path, name: str, master: str) -> dict[str, Any]:
    """Train, in this process: seconds, peak bytes of this process, and for Spark figures of its tasks."""
    from embedrec.storage import artifacts
    from embedrec.workflows.train import train_model

    source, recipe = artifacts.read(sessions, "sessions"), recipe_class(name)()
    started = time.perf_counter()
    figures: dict[str, Any] = {}
    if engine == "local":
        train_model(recipe, source, folder)
    else:
        figures = on_spark(recipe, source, folder, master)
    figures["seconds"] = figures.get("seconds", time.perf_counter() - started)
    figures["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return figures


def on_spark(recipe: Any, source: Any, folder: Path, master: str) -> dict[str, Any]:
    """Train on Spark; its figures, without the start of the session."""
    from embedrec.spark.session import SparkSettings, spark_session
    from embedrec.workflows.spark_train import train_on_spark

    with spark_session(SparkSettings(master, {"spark.ui.enabled": "true", "spark.ui.port": "0"})) as session:
        started = time.perf_counter()
        train_on_spark(recipe, source, folder, SparkSettings())
        seconds = time.perf_counter() - started
        store = session.sparkContext._jsc.sc().statusStore()
        java = session.sparkContext._gateway
        nothing = java.new_array(java.jvm.double, 0), java.jvm.java.util.ArrayList()
        stages = store.stageList(None, False, False, *nothing)
        totals = {"shuffle": 0, "spilled": 0, "tasks": 0}
        for number in range(stages.size()):
            stage = stages.apply(number)
            totals["shuffle"] += stage.shuffleWriteBytes()
            totals["spilled"] += stage.diskBytesSpilled()
            totals["tasks"] += stage.executorRunTime() // 1000
    return {"seconds": seconds, **totals}


if __name__ == "__main__":
    main()
