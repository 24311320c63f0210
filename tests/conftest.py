"""What tests share: Hypothesis settings, tiny nouns, and the folder of real data."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from embedrec.data import Sessions, Vocab
from embedrec.runtime import announcement
from embedrec.vectors.embeddings import Embeddings
from tests.spark.one_session import pytest_collection_modifyitems, spark  # noqa: F401 (hooks and fixtures of all tests)

# The default run repeats itself; HYPOTHESIS_PROFILE=search looks for new examples, and for longer.
_CALM = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]}
settings.register_profile("default", derandomize=True, max_examples=50, **_CALM)
settings.register_profile("search", max_examples=1000, **_CALM)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

announcement.done = True  # otherwise the first command would print a line more if no cache has its kernels

_REAL = Path(os.environ.get("EMBEDREC_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data sets: EMBEDREC_DATA, or ../shared/data beside the repository."""
    if not _REAL.is_dir():
        pytest.skip(f"there is no real data in {_REAL}; name its folder in EMBEDREC_DATA")
    return _REAL


@pytest.fixture
def qdrant_in_a_folder() -> Iterator[None]:
    """For tests that let qdrant_client store collections in a folder.

    The client leaves three things for the garbage collector to close, and offers no means to close them: the
    connection that it tries SQLite with, the connection of a deleted collection, and the lock file and connections
    of an instance that finds the folder locked. Python reports open connections from version 3.13 on.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"unclosed (database in|file .*\.lock')", ResourceWarning)
        yield
        gc.collect()


def read_only(array: np.ndarray) -> np.ndarray:
    """A read-only copy."""
    copy = array.copy()
    copy.flags.writeable = False
    return copy


LISTS = ["abac", "abd", "bca", "ab", "cd", "a", "dcb", "ef", "fe", "efa", "bd", "cab"]


def of_lists(lists: Iterable[Any], vocab: Vocab | None = None) -> Sessions:
    """Sessions of lists of ids; a string is a list of its letters, which `Sessions.of_lists` refuses."""
    return Sessions.of_lists([list(items) if isinstance(items, str) else items for items in lists], vocab)


def tiny_sessions(lists: Sequence[str] = LISTS) -> Sessions:
    """Read-only sessions with names, whose items are letters in descending order of count."""
    compact = of_lists(lists).drop_unused_items()
    names = np.array([f"Item {i.upper()}" for i in compact.vocab.ids], dtype=object)
    vocab = Vocab(read_only(compact.vocab.ids), read_only(names), read_only(compact.vocab.counts))
    return Sessions(read_only(compact.offsets), read_only(compact.items), vocab, read_only(compact.ids))


@pytest.fixture
def sessions() -> Sessions:
    return tiny_sessions()


def some_embeddings(n: int = 60, d: int = 8, metric: str = "cosine", seed: int = 0, spread: float = 0.0) -> Embeddings:
    """Normal vectors with ids "i0", "i1", …; `spread` is the deviation of the logarithm of their lengths."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, d)) * np.exp(spread * rng.normal(size=(n, 1)))
    vocab = Vocab([f"i{r}" for r in range(n)], counts=read_only(np.arange(n, 0, -1)))
    return Embeddings(read_only(vectors.astype(np.float32)), vocab, metric)  # type: ignore[arg-type]


@pytest.fixture
def embeddings() -> Embeddings:
    return some_embeddings()


def slow_scores(vectors: np.ndarray, query: np.ndarray, metric: str) -> list[float]:
    """Slow reference of every search: the score of a query with each vector, in Python floats."""
    scores = []
    for vector in vectors.tolist():
        dot = sum(a * b for a, b in zip(vector, query.tolist(), strict=True))
        if metric == "cosine":
            lengths = sum(a * a for a in vector) ** 0.5 * sum(b * b for b in query.tolist()) ** 0.5
            dot = dot / lengths if lengths else 0.0
        elif metric == "l2":
            dot = -sum((a - b) ** 2 for a, b in zip(vector, query.tolist(), strict=True))
        scores.append(dot)
    return scores


def slow_nearest(vectors: np.ndarray, query: np.ndarray, metric: str, k: int, without: int = -1) -> list[int]:
    """The rows of the k nearest, ties by lower row."""
    scores = slow_scores(vectors, query, metric)
    return sorted((r for r in range(len(scores)) if r != without), key=lambda r: (-round(scores[r], 9), r))[:k]
