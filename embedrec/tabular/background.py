"""Processing of earlier batches while the next one is read, and prefetching."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, TypeVar

Task = Callable[..., None]
T = TypeVar("T")


def prefetch(items: Iterator[T], depth: int) -> Iterator[T]:
    """The items, with up to `depth` of them prefetched by another thread."""
    end = object()
    pool = ThreadPoolExecutor(1)
    try:
        waiting: deque[Future[Any]] = deque(pool.submit(next, items, end) for _ in range(depth))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(pool.submit(next, items, end))
            yield item
    finally:
        pool.shutdown(cancel_futures=True)


class BackgroundPipeline:
    """Lanes of tasks; each lane runs its tasks in order on its own thread. Arrow and compiled kernels release the GIL.

    lanes  number of lanes; 0 runs every task at once in the calling thread
    depth  number of batches that may wait in memory
    """

    def __init__(self, lanes: int, depth: int) -> None:
        self.lanes = [ThreadPoolExecutor(1) for _ in range(lanes)]
        self.depth = depth
        self.waiting: deque[list[Future[None]]] = deque()

    def __enter__(self) -> BackgroundPipeline:
        return self

    def __exit__(self, *error: object) -> None:
        with ExitStack() as stack:
            for lane in self.lanes:
                stack.callback(lane.shutdown, cancel_futures=True)

    def add(self, task: Task, columns: list[tuple[Any, ...]]) -> None:
        """Call `work` for each column of a batch: the first column in the first lane, the others in the last.

        Raises the error of an earlier batch.
        """
        if not self.lanes:
            for arguments in columns:
                task(*arguments)
            return
        while len(self.waiting) >= self.depth:
            self._wait()
        first, last = self.lanes[0], self.lanes[-1]
        self.waiting.append([(last if n else first).submit(task, *arguments) for n, arguments in enumerate(columns)])

    def finish(self) -> None:
        """Wait until all tasks are done. Raises the first error."""
        while self.waiting:
            self._wait()

    def _wait(self) -> None:
        for future in self.waiting.popleft():
            future.result()
