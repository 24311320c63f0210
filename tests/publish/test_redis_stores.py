"""Stores and deltas: the exchanges between two generations, and the steps of removing dropped ones."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from embedrec.publish.redis_stores import Removal, base_of, exchanges, next_removal, root_of, store_of


def tree(bases: dict[int, int | None], dropped: tuple[int, ...] = ()) -> dict[int, dict[str, Any]]:
    """Generations of store 1, with the base of each."""
    states: dict[int, dict[str, Any]] = {}
    for number, base in bases.items():
        states[number] = {"state": "dropped" if number in dropped else "whole", "store": 1}
        states[number] |= {} if base is None else {"base": base}
    return states


def test_a_complete_generation_is_its_own_store() -> None:
    states = {4: {"state": "whole"}, 5: {"state": "whole", "store": 4, "base": 4}}
    assert [store_of(states, n) for n in (4, 5)] == [4, 4] and [base_of(states, n) for n in (4, 5)] == [None, 4]
    assert root_of(states, 5) == root_of(states, 4) == 4


def test_exchanges_by_hand() -> None:
    states = tree({1: None, 2: 1, 3: 2, 4: 1, 5: 4})
    assert exchanges(states, 3, 3) == []
    assert exchanges(states, 3, 1) == [3, 2] and exchanges(states, 1, 3) == [2, 3]
    assert exchanges(states, 3, 5) == [3, 2, 4, 5]


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=12), st.data())
def test_exchanges_lead_to_the_wanted_generation(seeds: list[int], data: st.DataObject) -> None:
    """Slow reference: the deltas whose own side is in place are those from the root to the generation in place."""
    bases: dict[int, int | None] = {1: None}
    for number, seed in enumerate(seeds, 2):
        bases[number] = 1 + seed % (number - 1)
    states = tree(bases)

    def path(number: int) -> set[int]:
        base = bases[number]
        return set() if base is None else {number} | path(base)

    numbers = st.sampled_from(sorted(bases))
    placed, wanted = data.draw(numbers), data.draw(numbers)
    own = path(placed)
    for step in exchanges(states, placed, wanted):
        assert own in (path(step), path(step) - {step})  # only a neighbour of the generation in place is exchanged
        own ^= {step}
    assert own == path(wanted)


def test_removals_by_hand() -> None:
    whole = tree({1: None, 2: 1, 3: 2})
    assert next_removal(whole, {1: 3}) is None
    assert next_removal(tree({1: None, 2: 1, 3: 2}, (1,)), {1: 3}) == Removal("root", 1, 2)
    assert next_removal(tree({1: None, 2: 1, 3: 2}, (2,)), {1: 3}) is None  # 3 needs it, and 1 is kept
    assert next_removal(tree({1: None, 2: 1, 3: 2}, (3,)), {1: 2}) == Removal("delta", 3)
    assert next_removal(tree({1: None, 2: 1}, (2,)), {1: 2}) == Removal("place", 2, 1)  # of a store not served
    assert next_removal(tree({1: None, 2: 1}, (1,)), {1: 1}) == Removal("place", 1, 2)
    assert next_removal(tree({1: None}, (1,)), {1: 1}) == Removal("store", 1)
    assert next_removal(tree({1: None, 2: None}, (1,)), {1: 2}) == Removal("record", 1)  # killed after "root"
    assert next_removal(tree({1: None, 2: 1, 4: 1}, (1,)), {1: 2}) is None
