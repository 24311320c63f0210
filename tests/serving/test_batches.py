"""Queries that wait together are computed together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from embedrec.serving.batches import INLINE, MOST, Batch, Batches


def ask_all(batch: Batch, queries: Sequence[Any]) -> list[Any]:
    async def ask() -> list[Any]:
        with ThreadPoolExecutor(1) as executor:
            batches = Batches(executor)
            return await asyncio.gather(*(batches.ask(batch, query) for query in queries), return_exceptions=True)

    return asyncio.run(ask())


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_every_query_has_its_answer(seconds: float) -> None:
    """In the event loop and in a thread."""
    sizes: list[int] = []

    def double(queries: Sequence[int]) -> list[int]:
        sizes.append(len(queries))
        if seconds:
            time.sleep(2 * INLINE)
        return [2 * query for query in queries]

    batch = Batch(double)
    batch.seconds = seconds
    assert ask_all(batch, range(40)) == [2 * query for query in range(40)]
    assert sizes == [MOST, MOST, 40 - 2 * MOST]
    assert (batch.seconds > INLINE) == bool(seconds)


def test_an_error_is_raised_for_each_query_of_its_batch() -> None:
    def fail(queries: Sequence[int]) -> list[int]:
        if 0 in queries:
            raise ValueError("zero")
        return list(queries)

    for seconds in (0.0, 1.0):
        batch = Batch(fail)
        batch.seconds = seconds
        answers = ask_all(batch, range(MOST + 2))
        assert [str(answer) for answer in answers] == ["zero"] * MOST + [str(MOST), str(MOST + 1)]


def test_a_request_that_was_given_up_does_not_disturb_the_others() -> None:
    async def ask() -> list[Any]:
        with ThreadPoolExecutor(1) as executor:
            batches, batch = Batches(executor), Batch(lambda queries: queries)
            tasks = [asyncio.ensure_future(batches.ask(batch, query)) for query in range(3)]
            await asyncio.sleep(0)
            tasks[1].cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

    first, second, third = asyncio.run(ask())
    assert (first, third) == (0, 2) and isinstance(second, asyncio.CancelledError)
