"""Work on a batch of queries, shared out among threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import faiss


def shared(count: int, work: Callable[[slice], None]) -> None:
    """Do the work on `count` queries, a part on each of as many threads as FAISS uses."""
    threads = faiss.omp_get_max_threads()
    step = max(-(-count // threads), 1)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, [slice(start, start + step) for start in range(0, count, step)]))
