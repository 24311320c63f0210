"""What is built here is too small for more than one thread and for long timings; records of searches."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import faiss
import numpy as np
import pytest

from embedrec.index import measure
from embedrec.index.index import Index


@pytest.fixture(autouse=True)
def briefly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    monkeypatch.setattr(measure, "SINGLE_QUERIES", 20)
    yield
    faiss.omp_set_num_threads(before)


def record_batches(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, place: int) -> list[int]:
    """The sizes of the batches that the function `name` of a module searches; queries are its argument at `place`."""
    sizes: list[int] = []
    search = getattr(module, name)

    def recorded(*arguments: Any) -> np.ndarray:
        sizes.append(len(arguments[place]))
        return search(*arguments)

    monkeypatch.setattr(module, name, recorded)
    return sizes


def check_batch(index: Index) -> None:
    """A batch of 100 queries has the results of single queries."""
    batch = index.neighbours(np.arange(100), 9)
    alone = [index.neighbours(np.array([row]), 9) for row in range(100)]
    assert (batch.rows == np.concatenate([a.rows for a in alone])).all()
    assert (batch.scores == np.concatenate([a.scores for a in alone])).all()
