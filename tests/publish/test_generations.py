"""The steps of a publish and of a rollback, with an in-memory target."""

from __future__ import annotations

from types import SimpleNamespace, TracebackType
from typing import Any

import pytest

from embedrec.errors import PublishError
from embedrec.progress import Report
from embedrec.publish import generations as module
from embedrec.publish.content import PublishContent
from embedrec.publish.generations import Generation, Published, Size, generations_at, publish, rollback
from tests.publish.content import content


class InMemory:
    """A target without a service."""

    layout = "dict"

    def __init__(self) -> None:
        self.held: dict[int, str] = {}
        self.retired: dict[int, float] = {}
        self.serves = 0
        self.now = 0.0
        self.half = 0
        self.inside = False
        self.lost_keys: dict[int, int] = {}

    def __enter__(self) -> InMemory:
        self.inside = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.inside = False

    def check(self, publication: PublishContent) -> None:
        assert not self.inside

    def measure(self, publication: PublishContent) -> Size:
        return {"bytes": 1}

    def missing(self, number: int, publication: PublishContent) -> int:
        return self.lost_keys.get(number, 0)

    def readonly(self) -> InMemory:
        return self

    def lost(self, number: int) -> int:
        return self.lost_keys.get(number, 0)

    def clean(self) -> int:
        assert self.inside
        left, self.half = self.half, 0
        return left

    def generations(self) -> list[Generation]:
        return [
            Generation(n, f, n == self.serves, self.now - self.retired.get(n, self.now)) for n, f in self.held.items()
        ]

    def write(self, publication: PublishContent, fingerprint: str, report: Report) -> tuple[int, Size]:
        number = max(self.held, default=0) + 1
        self.held[number] = fingerprint
        self.switch(number)
        return number, {"bytes": 1}

    def switch(self, number: int) -> None:
        self.retired[self.serves] = self.now
        self.retired.pop(number, None)
        self.serves = number

    def drop(self, number: int) -> None:
        assert number != self.serves
        del self.held[number]


def test_a_publish_drops_generations_after_the_grace_period(monkeypatch: pytest.MonkeyPatch) -> None:
    target = InMemory()
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        target.now += seconds

    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=sleep))  # for this module alone, not for other threads
    for seed in range(5):
        target.now += 4
        assert publish(content(seed=seed), target, keep=2, grace=10) == Published(seed + 1, {"bytes": 1})
        assert not target.inside
    assert list(target.held) == [3, 4, 5]
    assert waits == [2.0]  # 1 was retired at 8 and dropped at 18; 2 was retired at 12, and 22 is over by then
    events: list[Any] = []
    target.half = 3
    assert publish(content(seed=4), target, keep=2, report=lambda event, **n: events.append((event, n))) == Published(5)
    assert events == [("cleaned", {"half_loaded": 3})] and list(target.held) == [3, 4, 5]
    assert publish(
        content(seed=2), target, keep=1, grace=0, report=lambda event, **n: events.append((event, n))
    ) == Published(3)
    assert target.serves == 3 and list(target.held) == [3, 5]  # 4 was retired before 5
    assert events[1:] == [("dropped", {"generation": 4})]


def test_an_incomplete_generation_is_written_again() -> None:
    """The damaged generation is dropped although older ones are kept: it cannot be served again."""
    target, events = InMemory(), []
    for seed in (1, 2):
        publish(content(seed=seed), target, keep=2)
    target.lost_keys = {2: 7}
    published = publish(content(seed=2), target, keep=2, grace=0, report=lambda event, **n: events.append((event, n)))
    assert published == Published(3, {"bytes": 1}) and target.serves == 3 and list(target.held) == [1, 3]
    assert events == [("incomplete", {"generation": 2, "missing": 7}), ("dropped", {"generation": 2})]
    assert publish(content(seed=2), target, keep=2) == Published(3)


def test_rollback_serves_the_previous_generation() -> None:
    target = InMemory()
    with pytest.raises(PublishError, match="no older generation to roll back to"):
        rollback(target)
    for seed in (1, 2, 3):
        target.now += 100
        publish(content(seed=seed), target, keep=2, grace=0)
    assert [(g.number, g.served) for g in generations_at(target)] == [(1, False), (2, False), (3, True)]
    target.now += 100
    assert rollback(target) == (2, 3)
    target.now += 100
    assert rollback(target) == (3, 2)  # a rollback of the rollback
    assert rollback(target, 1) == (1, 3)
    assert sorted(target.held) == [1, 2, 3] and target.serves == 1
    target.now += 100
    publish(content(seed=4), target, keep=1, grace=0)  # the generation that was rolled back to is kept
    assert sorted(target.held) == [1, 4]
    for number, message in (
        (4, "generation 4 is served already"),
        (9, "there is no generation 9; the generations are 1, 4"),
    ):
        with pytest.raises(PublishError, match=message):
            rollback(target, number)
    target.lost_keys[1] = 7
    with pytest.raises(PublishError, match=r"generation 1 is incomplete \(lost entries: 7\)"):
        rollback(target)
    assert target.serves == 4 and not target.inside
