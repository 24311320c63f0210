"""Tables of pairs."""

from __future__ import annotations

import pytest

from embedrec.ranking.feature_groups.pairs import PairFeatures
from tests.conftest import of_lists


def test_tables() -> None:
    sessions = of_lists(["aba", "ac"])
    a, b, c = sessions.vocab.rows_of(["a", "b", "c"]).tolist()
    together, sequence = PairFeatures.fit(sessions, threads=1)

    def pairs(group: PairFeatures, row: int) -> dict[int, float]:
        own = slice(group.starts[row], group.starts[row + 1])
        return dict(zip(group.items[own].tolist(), group.values[own].tolist(), strict=True))

    assert pairs(together, a) == pytest.approx({b: 2 / 3**0.5, c: 1 / 3**0.5, a: 2 / 3})
    assert pairs(together, c) == pytest.approx({a: 1 / 3**0.5})
    assert pairs(sequence, a) == pytest.approx({b: 1 / 3, c: 1 / 3, a: 0.5 / 3})
    assert pairs(sequence, b) == pytest.approx({a: 1})
    assert pairs(sequence, c) == {}
    for threads in (2, 3):
        again = PairFeatures.fit(sessions, threads=threads)
        assert [one.values.tolist() for one in again] == [together.values.tolist(), sequence.values.tolist()]
