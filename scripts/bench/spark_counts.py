"""Models trained on Spark: cost of an event by size, shuffles, memory of the driver and of tasks; one machine.

    python scripts/bench/spark_counts.py --events 1_000_000 2_000_000 4_000_000
    python scripts/bench/spark_counts.py --events 5_000_000 --case hot       an item in half of all sessions
    python scripts/bench/spark_counts.py --events 5_000_000 --case long      a session of a million events
    python scripts/bench/spark_counts.py --events 5_000_000 --case single    sessions of one event
    python scripts/bench/spark_counts.py --events 5_000_000 --items 2_000_000 --tasks    the memory of a task
    python scripts/bench/spark_counts.py --events 1_000_000 4_000_000 --model mf --local

Sessions are those of a large shop, see `generated.shopping`; `long` has one more with as many events as --long says, of
300 different items. Every size runs in a process of its own, with executors that are processes of 1 GB. With --local,
the model of one machine is trained too, and compared byte by byte. Lines are those of spark.py, whose `slope` reads the
files of --rows. --tasks prints what a task that counts a part adds to the memory of its process, at most.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
from generated import shopping
from spark_figures import CONF, HEADER, MASTER, measured, spark_figures, table_line

from embedrec.data import Sessions, Vocab
from embedrec.models import recipe_class
from embedrec.models.base import Model
from embedrec.models.serialization import load_model
from embedrec.spark import pair_counts
from embedrec.spark.pair_tasks import CountPart

ITEMS = 200_000
EVENTS_A_SESSION = 4.9  # of `shopping`


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", nargs="+", type=int, default=[1_000_000, 2_000_000, 4_000_000])
    parser.add_argument("--model", default="cooccurrence", help="cooccurrence, svd, mf, ar, sr or popular")
    parser.add_argument("--case", choices=["even", "hot", "long", "single"], default="even")
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--long", type=int, default=1_000_000)
    parser.add_argument("--master", default=MASTER)
    parser.add_argument("--local", action="store_true", help="also train on one machine, and compare")
    parser.add_argument("--tasks", action="store_true", help="print the memory of tasks")
    parser.add_argument("--folder", type=Path, help="for the data, kept; a temporary one by default")
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)  # engine, work folder: a child process
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one[0], Path(given.one[1]), given), ensure_ascii=False))
        return
    print(HEADER, flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        for events in given.events:
            compare((given.folder or Path(temporary)) / f"{given.case}-{events}", events, given)


def compare(folder: Path, events: int, given: argparse.Namespace) -> None:
    """Train a model of so many events on Spark, and on one machine if that is wanted."""
    sessions = folder / "sessions" / "shop"
    if not sessions.exists():
        generated(events, given.items, given.case, given.long).save(sessions, {})
    words = [*("--events", str(events)), *("--model", given.model, "--case", given.case), *("--master", given.master)]
    words += ["--tasks"] if given.tasks else []
    for engine in ["spark", "local"] if given.local else ["spark"]:
        row = measured([__file__, "--one", engine, str(folder), *words], folder)
        print(table_line(row), flush=True)
        if given.rows is not None:
            with given.rows.open("a") as out:
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
        if "tasks" in row:
            print_tasks(row["tasks"])
    if given.local:
        pair = [load_model(folder / "models" / engine) for engine in ("spark", "local")]
        print("the same bytes" if alike(*pair) else "OTHER BYTES", flush=True)


def print_tasks(tasks: list[dict[str, Any]]) -> None:
    """Print the memory of the tasks that count parts, by mentions and items."""
    later = [task for task in tasks if not task["first"]] or tasks
    most = max(later, key=lambda task: task["added"])
    print(
        f"{len(tasks)} tasks; a later task of a process adds {most['added'] >> 20} MB at most (a part of "
        f"{most['mentions']:,} mentions, {most['items']:,} items in all), the first one of a process "
        f"{max(task['added'] for task in tasks) >> 20} MB; {max(task['peak'] for task in tasks) >> 20} MB in "
        "all at most",
        flush=True,
    )


def alike(a: Model, b: Model) -> bool:
    """Whether the arrays of two models are equal in every byte."""
    return a.arrays.keys() == b.arrays.keys() and all(
        np.asarray(a.arrays[name]).tobytes() == np.asarray(b.arrays[name]).tobytes() for name in a.arrays
    )


def generated(events: int, items: int, case: str, long: int) -> Sessions:
    """Sessions of about so many events, see `main`."""
    sessions = shopping(int(events / EVENTS_A_SESSION), items, seed=1)
    rows, offsets = sessions.items.copy(), sessions.offsets
    if case == "hot":
        rows[offsets[:-1][::2]] = 0
    if case == "long":
        cut = np.searchsorted(offsets, min(long, len(rows)))
        rows[: offsets[cut]] %= 300  # its different items; all pairs of more would be another bench
        offsets = np.concatenate([[0], offsets[cut:]])
    if case == "single":
        offsets = np.arange(len(rows) + 1)
    vocab = Vocab(np.arange(items)).with_counts(np.bincount(rows, minlength=items))
    return Sessions(offsets, rows, vocab, np.arange(len(offsets) - 1)).drop_unused_items()


def one(engine: str, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Train, in this process; the figures of a row."""
    from embedrec.storage import artifacts
    from embedrec.workflows.train import train_model

    source, recipe = artifacts.read(folder / "sessions" / "shop", "sessions"), recipe_class(given.model)()
    row = {"what": given.model, "shape": given.case, "engine": engine, "events": len(source.array("items"))}
    if engine == "spark":
        return row | on_spark(recipe, source, folder, given)
    train_model(recipe, source, folder / "models" / "local")
    return row | {"driver MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}


def on_spark(recipe: Any, source: Any, folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Train on Spark; figures of Spark, and of its tasks with --tasks."""
    from embedrec.spark.session import SparkSettings, spark_session
    from embedrec.workflows.spark_train import train_on_spark

    with tempfile.TemporaryDirectory(dir=folder) as local:
        tasks = Path(local) / "tasks"
        tasks.mkdir()
        if given.tasks:
            pair_counts.CountPart = lambda *words: Watched(CountPart(*words), str(tasks))  # type: ignore[misc]
        with spark_session(SparkSettings(given.master, {**CONF, "spark.local.dir": local})) as session:
            train_on_spark(recipe, source, folder / "models" / "spark", SparkSettings())
            figures: dict[str, Any] = dict(spark_figures(session))
        if given.tasks:
            figures["tasks"] = [json.loads(path.read_text()) for path in tasks.iterdir()]
    return figures


@dataclass(frozen=True)
class Watched:
    """A `CountPart` that notes the memory of its task: resident bytes before it, and the most of them during it."""

    task: CountPart
    folder: str

    def __call__(self, number: int, batches: Iterator[Any]) -> dict[str, Any]:
        import pyarrow.compute as pc

        mentions = 0

        def counted(batches: Iterator[Any]) -> Iterator[Any]:
            nonlocal mentions
            for batch in batches:
                mentions += (pc.sum(pc.binary_length(batch.column("items"))).as_py() or 0) // 4
                yield batch

        first = os.environ.get("WATCHED") is None  # of this process, which loads the kernels
        os.environ["WATCHED"] = "yes"
        before, done = own_bytes(), Event()
        peak = before

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.002):
                peak = max(peak, own_bytes())

        thread = Thread(target=watch)
        thread.start()
        try:
            result = self.task(number, counted(batches))
        finally:
            done.set()
            thread.join()
        note = {"added": peak - before, "peak": peak, "first": first, "mentions": mentions}
        note["items"] = self.task.shared.value.n
        (Path(self.folder) / f"{number}.json").write_text(json.dumps(note))
        return result


def own_bytes() -> int:
    """The resident bytes of this process that are of no file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))


if __name__ == "__main__":
    main()
