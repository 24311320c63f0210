"""One function over many files in several processes, results in the order of the files."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from embedrec.errors import EmbedrecError

A = TypeVar("A")
R = TypeVar("R")


def in_order(function: Callable[[A], R], arguments: Sequence[A], workers: int) -> Iterator[R]:
    """Yield `function(argument)` for every argument, in order, from `workers` processes (1: this one).

    At most two results a worker wait to be taken, so that memory does not grow with the number of arguments.
    Close the generator (`contextlib.closing`) to end the processes early.

    Raises what `function` raises, at that argument's turn; EmbedrecError when a process dies.
    """
    if workers <= 1 or len(arguments) <= 1:
        yield from map(function, arguments)
        return
    count = min(workers, len(arguments))
    # spawned, not forked: a forked child of a process that has used OpenMP threads can hang for good
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_leave_interrupts_to_the_parent)
    try:
        waiting: deque[Future[R]] = deque()
        for argument in arguments:
            waiting.append(pool.submit(function, argument))
            if len(waiting) >= 2 * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as e:
        raise EmbedrecError("a reading process died, perhaps for want of memory; use --threads 1") from e
    finally:
        pool.shutdown(cancel_futures=True)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
