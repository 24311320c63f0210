"""What is published, and the order of a publish, with a target that keeps everything in a dict."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.errors import DataError, PublishError, SettingsError
from embedrec.progress import Report
from embedrec.publish import generations as module
from embedrec.publish.content import PublishContent, encode_ids, round_to_seven_digits
from embedrec.publish.endpoint import Endpoint
from embedrec.publish.generations import Generation, Published, Size, generations_at, publish, rollback
from embedrec.publish.parquet import measure_folder
from embedrec.publish.postgres import Postgres
from tests.publish.content import content, lists


def test_fingerprints() -> None:
    some = content()
    same = [some, content(), content(ids=None)]
    others = [content(seed=1), content(k=2), content(parts="neighbours"), content(parts="vectors")]
    assert len({p.fingerprint("x") for p in same}) == 1
    assert len({p.fingerprint("x") for p in [some, *others]}) == 5
    assert some.fingerprint("x") != some.fingerprint("y")


def test_blocks_hold_every_item_once() -> None:
    many = content(9000, 2)
    blocks = list(many.neighbour_blocks())
    assert np.concatenate([rows for rows, _ in blocks]).tolist() == list(range(9000))
    assert [ids for _, found in blocks for ids in found.ids()] == list(lists(many).values())
    assert many.vectors is not None
    assert (np.concatenate([v for _, v in many.vector_blocks()]) == many.vectors.vectors).all()
    assert not list(content(parts="vectors").neighbour_blocks()) and not list(
        content(parts="neighbours").vector_blocks()
    )
    assert [found.rows.shape for _, found in content(3, 9, short=False).neighbour_blocks()] == [(3, 2)]
    assert [found.rows.shape for _, found in content(1, 9, short=False).neighbour_blocks()] == [(1, 0)]


def test_bad_publications() -> None:
    with pytest.raises(SettingsError, match="neither neighbours nor vectors were given"):
        PublishContent(Vocab(["a"]), None, None, 1, {})
    with pytest.raises(DataError, match="no items to publish"):
        PublishContent(Vocab([]), content().neighbours, None, 1, {})
    assert encode_ids(Vocab([1, -2])) == [b"1", b"-2"]
    with pytest.raises(DataError, match="not valid Unicode"):
        encode_ids(Vocab(["a", "\ud800"]))


@given(st.floats(width=32, allow_nan=False))
@example(174180057088.0)
@example(2.598133180275581e-28)
def test_seven_digits(score: float) -> None:
    (short,) = round_to_seven_digits(np.array([score], dtype=np.float32)).tolist()
    assert short == pytest.approx(score, rel=1e-6, abs=0) or score == short
    assert (
        len(repr(short).split("e")[0].replace("-", "").replace(".", "").strip("0")) <= 7
        or abs(score) in (0, np.inf)
        or abs(score) > 1e15
    )


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


def test_the_order_of_a_publish(monkeypatch: pytest.MonkeyPatch) -> None:
    place = InMemory()
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        place.now += seconds

    monkeypatch.setattr(module.time, "sleep", sleep)
    for seed in range(5):
        place.now += 4
        assert publish(content(seed=seed), place, keep=2, grace=10) == Published(seed + 1, {"bytes": 1})
        assert not place.inside
    assert list(place.held) == [3, 4, 5]
    assert waited == [2.0]  # 1 was retired at 8 and dropped at 18; 2 was retired at 12, and 22 is over by then
    said: list[Any] = []
    place.half = 3
    assert publish(content(seed=4), place, keep=2, report=lambda event, **n: said.append((event, n))) == Published(5)
    assert said == [("cleaned", {"half_loaded": 3})] and list(place.held) == [3, 4, 5]
    assert publish(
        content(seed=2), place, keep=1, grace=0, report=lambda event, **n: said.append((event, n))
    ) == Published(3)
    assert place.serves == 3 and list(place.held) == [3, 5]  # 4 was retired before 5
    assert said[1:] == [("dropped", {"generation": 4})]


def test_what_lost_some_is_written_again() -> None:
    """The damaged generation goes, also where older ones stay: there is nothing to go back to."""
    place, said = InMemory(), []
    for seed in (1, 2):
        publish(content(seed=seed), place, keep=2)
    place.lost_keys = {2: 7}
    again = publish(content(seed=2), place, keep=2, grace=0, report=lambda event, **n: said.append((event, n)))
    assert again == Published(3, {"bytes": 1}) and place.serves == 3 and list(place.held) == [1, 3]
    assert said == [("incomplete", {"generation": 2, "missing": 7}), ("dropped", {"generation": 2})]
    assert publish(content(seed=2), place, keep=2) == Published(3)


def test_ranks_have_sixteen_bits() -> None:
    ids = Vocab(list(range(40_000)))
    many = PublishContent(ids, content().neighbours, None, 32_768, {})
    with pytest.raises(
        SettingsError, match=r"^the number of neighbours must be at most 32,767, the largest rank; it is 32,768$"
    ):
        many.check_ranks()
    for refuses in (measure_folder, Postgres(Endpoint("postgresql://h/db")).measure):
        with pytest.raises(SettingsError, match=r"^the number of neighbours must be at most"):
            refuses(many)
    PublishContent(ids, content().neighbours, None, 32_767, {}).check_ranks()
    content(k=70_000).check_ranks()
    assert content(12, k=70_000).max_k == 11


def test_rollback_goes_back_to_what_was_served_before() -> None:
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
    assert rollback(target) == (3, 2)  # what was undone is done again
    assert rollback(target, 1) == (1, 3)
    assert sorted(target.held) == [1, 2, 3] and target.serves == 1
    target.now += 100
    publish(content(seed=4), target, keep=1, grace=0)  # the one that was gone back to stays
    assert sorted(target.held) == [1, 4]
    for number, says in (
        (4, "generation 4 is served already"),
        (9, "there is no generation 9; the generations are 1, 4"),
    ):
        with pytest.raises(PublishError, match=says):
            rollback(target, number)
    target.lost_keys[1] = 7
    with pytest.raises(PublishError, match=r"generation 1 is incomplete \(lost entries: 7\)"):
        rollback(target)
    assert target.serves == 4 and not target.inside
