"""What is built here is too small for more than one thread, and to be timed for long."""

from __future__ import annotations

from collections.abc import Iterator

import faiss
import pytest

from embedrec.index import measure


@pytest.fixture(autouse=True)
def briefly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    monkeypatch.setattr(measure, "SINGLE_QUERIES", 20)
    yield
    faiss.omp_set_num_threads(before)
