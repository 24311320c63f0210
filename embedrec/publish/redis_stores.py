"""Which keys belong to which generation: stores of complete generations, and deltas against another generation.

A store is the keys PREFIX:STORE:ITEM of one complete generation. A delta exists in the store of its base: it has the
keys PREFIX:NUMBER:ITEM of the items that differ, and those items in PREFIX:changes:NUMBER. The switch exchanges both
sides, so that the delta is in place, and its keys hold the lists of the base; exchanging them again is a rollback.
Deltas of deltas form a tree, whose path from the root to the generation in place is exchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

States = Mapping[int, Mapping[str, Any]]  # number → values of PREFIX:generations


@dataclass(frozen=True)
class Removal:
    """The next step of removing dropped generations.

    action  "store": remove all keys of a store · "delta": remove the keys of a delta that is not in place ·
            "root": remove the keys of the delta `child`, which becomes a complete generation, then ask again ·
            "record": remove what is stored about it ·
            "place": put the generation `child` of the store in place, then ask again
    """

    action: str
    number: int
    child: int = 0


def store_of(states: States, number: int) -> int:
    """The number in the keys of a generation that is in place."""
    return int(states[number].get("store", number))


def base_of(states: States, number: int) -> int | None:
    """The generation that a delta changes; None for a complete one."""
    base = states[number].get("base")
    return None if base is None else int(base)


def exchanges(states: States, placed: int, wanted: int) -> list[int]:
    """The deltas to exchange, in order, to put `wanted` in place of `placed`, in the same store."""
    before, after = _ancestors(states, placed), _ancestors(states, wanted)
    common = next(number for number in before if number in after)
    return [*before[: before.index(common)], *reversed(after[: after.index(common)])]


def root_of(states: States, number: int) -> int:
    """The complete generation that a generation is based on, directly, through other deltas, or itself."""
    return _ancestors(states, number)[-1]


def next_removal(states: States, placed: Mapping[int, int]) -> Removal | None:
    """The next step for the dropped generations; None if those that remain are the base of others.

    placed  store → generation in place
    """
    for number, about in sorted(states.items()):
        if about["state"] != "dropped":
            continue
        children = [other for other in states if base_of(states, other) == number]
        base, in_place = base_of(states, number), placed[store_of(states, number)] == number
        if not children and base is None:
            return Removal("store" if in_place else "record", number)  # "record": a delta has become the store
        if not children:
            return Removal("place", number, int(base or 0)) if in_place else Removal("delta", number)
        if len(children) == 1 and base is None:
            return Removal("place" if in_place else "root", number, children[0])
    return None


def _ancestors(states: States, number: int) -> list[int]:
    """A generation, its base, the base of that one, …"""
    path = [number]
    while (base := base_of(states, path[-1])) is not None:
        path.append(base)
    return path
