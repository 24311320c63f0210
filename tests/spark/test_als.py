"""Alternating least squares in slices and parts has the bytes of one machine.

The tasks run in this process, one after another; `test_fit` runs them on Spark.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from embedrec.data import Sessions, Vocab
from embedrec.errors import DataError
from embedrec.models.factorization import least_squares
from embedrec.models.factorization.mf import MatrixFactorisation
from embedrec.models.pair_counts import frequent_items
from embedrec.spark import als, als_cells, als_steps
from embedrec.spark.als import SparkALS
from embedrec.spark.sessions_frame import frame_of
from embedrec.storage import artifacts
from embedrec.storage.memory_budget import spill

ITEMS, BLOCK = 50, 32
Alter = Callable[[str, list[dict[str, Any]]], None]


def random_sessions() -> Sessions:
    """Sessions with repeats, an item in half of them, empty ones, a whole block of those, and two long ones."""
    rng = np.random.default_rng(0)
    lists = [rng.integers(0, ITEMS, rng.integers(0, 9)).tolist() for _ in range(230)]
    lists = [[0, *items] if number % 2 else items for number, items in enumerate(lists)]
    lists[3 * BLOCK : 4 * BLOCK] = [[]] * BLOCK
    lists[7], lists[200] = rng.integers(0, ITEMS, 600).tolist(), rng.integers(0, ITEMS, 300).tolist()
    return Sessions.of_lists(lists, Vocab(np.arange(ITEMS)))


class Tasks:
    """Runs tasks here, in the order of their numbers, and counts them; `alter` gets the results of each job."""

    def __init__(self, alter: Alter) -> None:
        self.alter, self.counts = alter, list[tuple[str, int]]()

    def __call__(self, spark: object, work: Any, count: int) -> list[dict[str, Any]]:
        batches = [
            SimpleNamespace(column=lambda name, n=n: SimpleNamespace(to_pylist=lambda: [n])) for n in range(count)
        ]
        results = [work(number, iter([batch])) for number, batch in enumerate(batches)]
        self.counts.append((type(work).__name__, count))
        self.alter(type(work).__name__, results)
        return results


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (least_squares, als, als_cells, als_steps):
        monkeypatch.setattr(module, "BLOCK_ROWS", BLOCK)
    monkeypatch.setattr(als_cells, "CHUNK_EVENTS", 100)


def trained(
    recipe: MatrixFactorisation,
    sessions: Sessions,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    size: int = 200,
    events: int = 150,
    alter: Alter = lambda name, results: None,
) -> tuple[dict[str, np.ndarray], list[tuple[str, int]], list[Any]]:
    """The arrays of a training in parts of `size` mentions and slices of `events`; its jobs, and what it reported."""
    tasks, reports = Tasks(alter), list[Any]()
    monkeypatch.setattr(als, "run_numbered", tasks)
    sessions.save(folder / "sessions", {})
    shared = SimpleNamespace(broadcast=lambda value: SimpleNamespace(value=value, unpersist=lambda: None))
    spark: Any = SimpleNamespace(sparkContext=shared)
    frame = frame_of(spark, artifacts.read(folder / "sessions"), size=events)
    rows, counts = frequent_items(sessions, recipe.min_count)
    new = np.full(ITEMS, -1, dtype=np.int32)
    new[rows] = np.arange(len(rows))
    (folder / "files").mkdir()
    vocab, place = sessions.vocab.take(rows), folder / "files"
    numbers = (vocab, counts, new, place, size, 5, 1, lambda event, **n: reports.append((event, n)), spill(place))
    return SparkALS(recipe, frame, *numbers).arrays(), tasks.counts, reports


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"plays": "each", "nu": 0.5, "dim": 16},
        {"plays": "once", "nu": 0.0, "steps": 1, "epochs": 4},
        {"steps": 40, "unobserved": 0.5, "deviation": 1.0, "regularisation": 1e-4},
        {"min_count": 40, "epochs": 1, "dim": 1},
        {"dim": 40, "min_count": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("held", [0, 1 << 28])
def test_arrays_have_the_same_bytes(
    small_blocks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], held: int
) -> None:
    """Also where the vectors of a part are in a file: that of a hot item, or with `held` 0 of every part."""
    sessions, losses = random_sessions(), []
    recipe = MatrixFactorisation(**{"dim": 6, **settings})
    local = recipe.fit(sessions, seed=5, report=lambda event, **n: event == "epoch" and losses.append(n["loss"])).arrays
    monkeypatch.setattr(als_steps, "HELD_BYTES", held)
    arrays, jobs, reports = trained(recipe, sessions, tmp_path, monkeypatch)
    assert arrays.keys() == local.keys()
    for name, values in local.items():
        assert (arrays[name].dtype, arrays[name].shape) == (values.dtype, values.shape)
        assert arrays[name].tobytes() == values.tobytes(), name
    epochs = [numbers for event, numbers in reports if event == "epoch"]
    assert [epoch["loss"] for epoch in epochs] == pytest.approx(losses, rel=1e-12)
    done = [numbers for event, numbers in reports if event == "progress"]
    assert len(done) == 2 * len(epochs) and done[-1]["done"] == done[-1]["total"]
    tasks = dict(jobs)
    assert tasks["SolveSessions"] > 2 and tasks["SolveItems"] > 2


def test_a_hot_item_has_a_part_of_its_own_and_files_are_removed(
    small_blocks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions, parts, left = random_sessions(), list[Any](), list[set[str]]()

    def alter(name: str, results: list[dict[str, Any]]) -> None:
        parts.extend(results if name == "WritePart" else [])
        left.append({path.name for path in (tmp_path / "files").iterdir()})

    trained(MatrixFactorisation(dim=4, epochs=3), sessions, tmp_path, monkeypatch, size=100, alter=alter)
    cells = np.bincount(np.unique(sessions.session_of * ITEMS + sessions.items) % ITEMS, minlength=ITEMS)
    assert parts[0]["rows"] == 1 and parts[0]["cells"] == parts[0]["sent"] == cells[0] > 100
    assert sum(part["rows"] for part in parts) == ITEMS and sum(part["cells"] for part in parts) == cells.sum()
    assert all(part["sent"] < len(sessions) for part in parts)  # no task has the vectors of all sessions
    files = [len(names) for names in left]
    assert files[4] == files[7] == files[10]  # an iteration leaves no more files than the one before


@pytest.mark.parametrize("job", ["WriteSlice", "WritePart", "SolveSessions", "SendVectors", "SolveItems"])
def test_a_missing_file_is_an_error(
    small_blocks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str
) -> None:
    def alter(name: str, results: list[dict[str, Any]]) -> None:
        if name == job:
            (tmp_path / "files" / results[1].get("slice", results[1])["name"]).unlink()

    with pytest.raises(
        DataError, match=r"^the file part-000001-\w+ of part 1 in .* is missing; run the command again$"
    ):
        trained(MatrixFactorisation(dim=4), random_sessions(), tmp_path, monkeypatch, alter=alter)
