"""An ordered map over files in several processes."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

from embedrec.errors import EmbedrecError
from embedrec.runtime.child_interpreters import safe_children

A = TypeVar("A")
R = TypeVar("R")


def map_in_order(function: Callable[[A], R], arguments: Sequence[A], workers: int) -> Iterator[R]:
    """Yield `function(argument)` for every argument, in order, from `workers` processes (1: this one).

    At most two results per worker are pending, so memory does not grow with the number of arguments.
    Close the generator (`contextlib.closing`) to end the processes early.

    Raises the errors of `function` in the order of the arguments, and EmbedrecError if a process dies.
    """
    if workers <= 1 or len(arguments) <= 1:
        yield from map(function, arguments)
        return
    count = min(workers, len(arguments))
    # spawned, not forked: a fork of a process with OpenMP threads can hang
    with without_interrupts():
        pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_start_worker)
    try:
        waiting: deque[Future[R]] = deque()
        for argument in arguments:
            with without_interrupts():
                waiting.append(pool.submit(function, argument))
            if len(waiting) >= 2 * count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as e:
        raise EmbedrecError("a reading process died, possibly because memory ran out; use --threads 1") from e
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Block SIGINT while processes start. They inherit the block: an interrupt during their imports would print a
    traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        with safe_children():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    """Ignore interrupts and stderr: the parent handles interrupts and raises errors."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)
