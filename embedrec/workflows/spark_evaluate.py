"""Evaluate on Spark: executors open the model and the test cases, and rank slices of them.

The driver holds the test cases and their lists, and computes the metrics of them as one machine does. What executors
open is in a hidden folder of the workspace, which all machines must share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from embedrec.data.sessions import Sessions
from embedrec.data.vocab import Vocab
from embedrec.evaluation.case_blocks import BlockWork, Compute
from embedrec.models.base import Model
from embedrec.models.serialization import load_model, save_model
from embedrec.models.vector_model import VectorModel
from embedrec.spark.session import SparkSettings, spark_session
from embedrec.spark.tasks import numbers_in, run_numbered
from embedrec.spark.written_parts import open_parts, staging, write_arrays
from embedrec.splitting.test_cases import TestCases
from embedrec.storage.workspace import Workspace
from embedrec.workflows.evaluate import Protocol

_TASK_BLOCKS = 4  # blocks of test cases of a task
_ARRAYS = ("session", "length", "offsets", "targets")  # of test cases, besides their sessions


@contextmanager
def computing_on_spark(workspace: Workspace, protocol: Protocol, spark: SparkSettings) -> Iterator[Compute]:
    """A `Compute` on Spark for models that are evaluated by a protocol, for the duration of the block.

    Raises the errors of `spark_session`, and DataError if executors cannot write to the workspace.
    """
    with spark_session(spark) as session, staging(session, workspace.root / "evaluation") as parts:
        yield SparkCompute(session, parts, similar=protocol == "similar")


@dataclass(frozen=True, eq=False)
class SparkCompute:
    """A `Compute` on Spark.

    staging  folder that all machines share
    similar  whether models with vectors recommend by similarity, see `VectorModel.by_similarity`
    """

    spark: Any
    staging: Path
    similar: bool
    _saved: list[tuple[Model, Path]] = field(default_factory=list, init=False)

    def __call__(
        self, model: Model, test_cases: TestCases, work: BlockWork, blocks: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[np.ndarray, ...]]:
        """See `Compute`."""
        cases = self.staging / f"cases-{uuid4().hex}"
        _save_cases(test_cases, cases)
        tasks = [list(blocks[at : at + _TASK_BLOCKS]) for at in range(0, len(blocks), _TASK_BLOCKS)]
        task = _RankCases(str(self._place(model)), str(cases), str(self.staging), self.similar, work, tasks)
        results = run_numbered(self.spark, task, len(tasks))
        for part in open_parts(self.staging, results):
            offset = 0
            for shapes in part.about["blocks"]:
                arrays = []
                for name, shape in shapes:
                    arrays.append(part.array(np.dtype(name), tuple(shape), offset))
                    offset += arrays[-1].nbytes
                yield tuple(arrays)

    def _place(self, model: Model) -> Path:
        """The folder with the model, and with its index if it searches one."""
        for known, folder in self._saved:
            if known is model:
                return folder
        folder = self.staging / f"model-{uuid4().hex}"
        save_model(model, folder / "model", {})
        if isinstance(model, VectorModel):
            from embedrec.index.index import Index
            from embedrec.index.serialization import save_index

            if isinstance(model.searcher, Index):
                save_index(model.searcher, folder / "index", {})
        self._saved.append((model, folder))
        return folder


def _save_cases(test_cases: TestCases, folder: Path) -> None:
    """Write test cases without their vocabulary, which is the model's, and without ids of sessions."""
    given = test_cases.sessions
    numbers = Vocab(np.arange(len(given.vocab)))
    sessions = replace(
        given, vocab=numbers, ids=np.arange(len(given)), item_features=None, user_features=None
    )  # no model reads features of histories
    sessions.save(folder / "sessions", {})
    for name in _ARRAYS:
        np.save(folder / f"{name}.npy", getattr(test_cases, name))


# ---------------------------------------------------------------------------------------------- in executors


_OPENED: dict[tuple[str, str], tuple[Model, TestCases]] = {}  # of the latest job of this process


@dataclass(frozen=True)
class _RankCases:
    """Numbers of tasks → the arrays of their blocks, one after another."""

    model: str
    cases: str
    staging: str
    similar: bool
    work: BlockWork
    tasks: list[list[tuple[int, int]]]

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        (number,) = numbers_in(batches)
        model, cases = self.opened()
        results = [self.work(model, cases, start, stop) for start, stop in self.tasks[number]]
        shapes = [[(array.dtype.str, array.shape) for array in result] for result in results]
        return write_arrays(self.staging, part, [array for result in results for array in result], blocks=shapes)

    def opened(self) -> tuple[Model, TestCases]:
        """The model and the test cases in this process."""
        key = (self.model, self.cases)
        if key not in _OPENED:
            _OPENED.clear()
            model = self.opened_model()
            sessions = replace(Sessions.load(Path(self.cases) / "sessions"), vocab=model.vocab)
            arrays = [np.load(Path(self.cases) / f"{name}.npy", mmap_mode="r") for name in _ARRAYS]
            _OPENED[key] = (model, TestCases(sessions, *arrays))
        return _OPENED[key]

    def opened_model(self) -> Model:
        """The model as the driver evaluates it."""
        folder = Path(self.model)
        model = load_model(folder / "model")
        if self.similar and isinstance(model, VectorModel):
            model = model.by_similarity()
        if isinstance(model, VectorModel) and (folder / "index").is_dir():
            from embedrec.index.serialization import load_index

            model = model.using(load_index(folder / "index"))
        return model
