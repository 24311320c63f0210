"""Queries that wait for the same computation are answered as one batch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from time import perf_counter
from typing import Any

MOST = 16  # queries of a batch: more wait longer than they gain
INLINE = 0.002  # seconds; the event loop computes shorter batches itself, which saves changing threads


class Batch:
    """A computation, and the queries that wait for it.

    compute  queries → answers, in the same order
    """

    def __init__(self, compute: Callable[[Sequence[Any]], Sequence[Any]]) -> None:
        self.compute = compute
        self.waiting: list[tuple[Any, asyncio.Future[Any]]] = []
        self.running = False
        self.seconds = 1.0  # of a batch, a moving average; the first runs in a thread, as it may compile kernels

    def answer(self, queries: Sequence[Any]) -> Sequence[Any]:
        """Compute, and measure how long it takes."""
        start = perf_counter()
        answers = self.compute(queries)
        seconds = perf_counter() - start
        self.seconds = seconds if self.seconds >= 1.0 else 0.9 * self.seconds + 0.1 * seconds
        return answers


class Batches:
    """The batches of one event loop.

    Queries that arrive while the loop reads its sockets, or while a batch of the same computation runs, are answered
    together.

    executor  computes what takes longer than `INLINE`
    """

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    async def ask(self, batch: Batch, query: Any) -> Any:
        """The answer to a query. Raises what the computation raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if not batch.waiting and not batch.running:
            loop.call_soon(self._run, batch, loop)
        batch.waiting.append((query, future))
        return await future

    def _run(self, batch: Batch, loop: asyncio.AbstractEventLoop) -> None:
        """Answer the queries that wait, at most `MOST`."""
        taken, batch.waiting = batch.waiting[:MOST], batch.waiting[MOST:]
        queries = [query for query, _ in taken]
        if batch.seconds > INLINE:
            batch.running = True
            computed = loop.run_in_executor(self.executor, batch.answer, queries)
            computed.add_done_callback(lambda done: self._finish(batch, taken, done, loop))
            return
        try:
            answers = batch.answer(queries)
        except Exception as e:
            _fail(taken, e)
        else:
            _answer(taken, answers)
        if batch.waiting:
            loop.call_soon(self._run, batch, loop)

    def _finish(
        self,
        batch: Batch,
        taken: list[tuple[Any, asyncio.Future[Any]]],
        done: asyncio.Future[Sequence[Any]],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        batch.running = False
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        if error is not None:
            _fail(taken, error)
        else:
            _answer(taken, done.result())
        if batch.waiting:
            loop.call_soon(self._run, batch, loop)


def _answer(taken: list[tuple[Any, asyncio.Future[Any]]], answers: Sequence[Any]) -> None:
    for (_, future), answer in zip(taken, answers, strict=True):
        if not future.done():  # its request was given up
            future.set_result(answer)


def _fail(taken: list[tuple[Any, asyncio.Future[Any]]], error: BaseException) -> None:
    for _, future in taken:
        if not future.done():
            future.set_exception(error)
