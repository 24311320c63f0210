"""Prefetching, and lanes of tasks that run while the next batch is read."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from embedrec.tabular.background import BackgroundPipeline, prefetch


@pytest.mark.parametrize("depth", [1, 2, 50])
def test_prefetched_items_are_in_order(depth: int) -> None:
    assert list(prefetch(iter(range(20)), depth)) == list(range(20))
    assert list(prefetch(iter([]), depth)) == []


def test_items_are_prefetched_up_to_the_depth() -> None:
    produced, third = [], threading.Event()

    def items() -> Iterator[int]:
        for item in range(10):
            produced.append(item)
            if item == 2:
                third.set()
            yield item

    results = prefetch(items(), 2)
    assert next(results) == 0
    assert third.wait(10)
    results.close()  # type: ignore[attr-defined]
    assert produced == [0, 1, 2]


def test_errors_are_raised_in_the_order_of_items() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("second")

    results = prefetch(items(), 3)
    assert next(results) == 1
    with pytest.raises(ValueError, match="second"):
        next(results)


@pytest.mark.parametrize("lanes", [0, 1, 2])
def test_every_lane_keeps_the_order_of_batches(lanes: int) -> None:
    """The first column of a batch has the first lane, the others the last one."""
    completed: dict[str, list[tuple[int, str]]] = {"a": [], "b": [], "c": []}

    def task(column: str, batch: int) -> None:
        completed[column].append((batch, threading.current_thread().name))

    with BackgroundPipeline(lanes, depth=2) as pipeline:
        for batch in range(10):
            pipeline.add(task, [(column, batch) for column in "abc"])
        pipeline.finish()
    assert {column: [batch for batch, _ in runs] for column, runs in completed.items()} == {
        column: [*range(10)] for column in "abc"
    }
    threads = {column: {name for _, name in runs} for column, runs in completed.items()}
    assert all(len(names) == 1 for names in threads.values()) and threads["b"] == threads["c"]
    assert (threads["a"] == threads["b"]) == (lanes < 2)
    assert (threads["a"] == {threading.current_thread().name}) == (lanes == 0)


def test_at_most_depth_batches_wait() -> None:
    release, completed = threading.Event(), []

    def task(batch: int) -> None:
        assert release.wait(10)
        completed.append(batch)

    with BackgroundPipeline(1, depth=2) as pipeline:
        pipeline.add(task, [(0,)])
        pipeline.add(task, [(1,)])
        assert completed == []
        threading.Timer(0.01, release.set).start()
        pipeline.add(task, [(2,)])  # waits for the first batch
        assert completed[:1] == [0]
        pipeline.finish()
    assert completed == [0, 1, 2]


@pytest.mark.parametrize("lanes", [0, 1, 2])
def test_the_first_error_is_raised(lanes: int) -> None:
    def task(batch: int) -> None:
        if batch:
            raise ValueError(f"batch {batch}")

    with BackgroundPipeline(lanes, depth=5) as pipeline, pytest.raises(ValueError, match="batch 1"):
        for batch in range(3):
            pipeline.add(task, [(batch,)])
        pipeline.finish()
