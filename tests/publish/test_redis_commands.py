"""Commands of a generation in the Redis protocol, against a decoder of that protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest

from embedrec.errors import SettingsError
from embedrec.publish.redis_commands import Batch, batches
from tests.publish.content import content, lists, scored_lists


def decode(data: bytes) -> list[list[bytes]]:
    """The arguments of packed commands: arrays of bulk strings."""
    commands, at = [], 0

    def number(mark: bytes) -> int:
        nonlocal at
        assert data[at : at + 1] == mark
        end = data.index(b"\r\n", at)
        value = int(data[at + 1 : end])
        at = end + 2
        return value

    while at < len(data):
        arguments = []
        for _ in range(number(b"*")):
            size = number(b"$")
            arguments.append(data[at : at + size])
            assert data[at + size : at + size + 2] == b"\r\n"
            at += size + 2
        commands.append(arguments)
    return commands


def all_batches(publication: Any, kind: Any) -> list[Batch]:
    return list(batches(publication, "p:3:", kind))


@pytest.mark.parametrize(
    "ids", [None, list(range(-3, 17)), list(range(100, 120)), ["a\r\nb", "$1", "*2", *map(str, range(17))]]
)
def test_lists(ids: Any) -> None:
    """An item with neighbours has one RPUSH; its response is the length of the list."""
    some = content(20, 4, ids=ids, parts="neighbours")
    (batch,) = all_batches(some, "list")
    expected = {f"p:3:{item}": [str(other) for other in others] for item, others in lists(some).items() if others}
    commands = decode(batch.commands)
    assert [command[0] for command in commands] == [b"RPUSH"] * len(expected)
    assert {key.decode(): [i.decode() for i in others] for _, key, *others in commands} == expected
    assert [key.decode() for key in batch.keys] == list(expected)
    assert batch.responses == [len(others) for others in expected.values()]


def test_json() -> None:
    """Every item has one SET, also without neighbours; scores have seven significant digits."""
    some = content(20, 4, parts="neighbours")
    (batch,) = all_batches(some, "json")
    commands = decode(batch.commands)
    assert {command[0] for command in commands} == {b"SET"}
    values = {key.decode(): json.loads(value) for _, key, value in commands}
    assert list(values) == [f"p:3:{item}" for item in some.vocab.ids]
    for item, pairs in scored_lists(some).items():
        assert values[f"p:3:{item}"]["items"] == [other for other, _ in pairs]
        assert values[f"p:3:{item}"]["scores"] == pytest.approx([score for _, score in pairs], rel=1e-6)
    assert batch.responses == [b"OK"] * 20 and [key.decode() for key in batch.keys] == list(values)


@pytest.mark.parametrize("kind", ["list", "json"])
def test_batches(kind: Any) -> None:
    some = content(5000, 2, parts="neighbours", short=False)
    packed = all_batches(some, kind)
    assert len(packed) > 1 and sum(len(batch.keys) for batch in packed) == 5000
    assert all(len(batch.keys) == len(batch.responses) == len(decode(batch.commands)) for batch in packed)
    keys = [key for batch in packed for key in batch.keys]
    assert keys == [f"p:3:{item}".encode() for item in some.vocab.ids]


def test_vectors_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"^redis supports neighbours only; publish without vectors$"):
        list(batches(content(), "p:", "list"))
