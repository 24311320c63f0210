"""What parts keep: counted at once, or from sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st

from embedrec.data import Vocab
from embedrec.kernels.pair_counts import RATIO, Formula
from embedrec.models.pair_counts import PairCounting, one_mention
from embedrec.progress import quiet
from embedrec.spark.pair_records import PartInput
from embedrec.spark.pair_tasks import AllPairs, BestLists, _sums
from tests.conftest import of_lists
from tests.data import strategies as draw

N = 6
LISTS = st.lists(st.lists(st.integers(0, N - 1), max_size=7), max_size=8)


@pytest.mark.parametrize("kind", [BestLists(2), AllPairs(ordered=True)])
def test_counting_at_once_equals_adding_sums(kind: BestLists | AllPairs) -> None:
    @draw.given(LISTS, st.integers(0, N - 1), st.sampled_from([2, 6]))
    def check(lists: list[list[int]], item: int, block: int) -> None:
        mentions = one_mention(of_lists(lists, Vocab(np.arange(N))), np.arange(N), 0)
        formula = Formula(RATIO, np.arange(1.0, N + 1), np.arange(1.0, N + 1), 0.5, 0.0, 0.0)
        given = PartInput(mentions, mentions.offsets[:-1], mentions.offsets[1:])
        width, *arrays = kind.count(given, formula, item, item + 1, N)
        rows, scores = (array.ravel() for array in arrays[-2:])
        count, found, sums = _sums(given, item, N)
        assert found.tolist() == sorted(found.tolist()) and count == len(found)
        total = np.zeros(N)
        total[found] = sums
        pairs = []
        for first in range(0, N, block):
            size, *selected = kind.select(item, formula, total[first : first + block], first)
            assert size == len(selected[0])
            pairs += list(zip(selected[0].tolist(), selected[1].tolist(), strict=True))
        expected = sorted(zip(rows.tolist(), scores.tolist(), strict=True))
        if isinstance(kind, BestLists):
            pairs = sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:width]
        assert sorted(pairs) == expected

    check()


def test_all_pairs_of_a_part_are_those_of_one_machine() -> None:
    rng = np.random.default_rng(0)
    lists = [rng.integers(0, N, rng.integers(0, 7)).tolist() for _ in range(20)]
    mentions = one_mention(of_lists(lists, Vocab(np.arange(N))), np.arange(N), 0)
    formula = Formula(RATIO, np.ones(N), np.ones(N), 0.5, 0.0, 0.0)
    whole = PairCounting(mentions, formula, 1, quiet).all_pairs()
    given = PartInput(mentions, mentions.offsets[:-1], mentions.offsets[1:])
    _, counts, rows, values = AllPairs(ordered=True).count(given, formula, 1, 4, N)
    assert counts.tolist() == (whole.ends - whole.starts)[1:4].tolist()
    places = np.concatenate([np.arange(whole.starts[a], whole.ends[a]) for a in range(1, 4)])
    assert rows.tolist() == whole.rows[places].tolist() and values.tolist() == whole.values[places].tolist()
