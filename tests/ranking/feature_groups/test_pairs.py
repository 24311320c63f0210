"""Tables of pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from embedrec.ranking.feature_groups.pairs import PairFeatures
from tests.conftest import of_lists


def test_tables() -> None:
    sessions = of_lists(["aba", "ac"])
    a, b, c = sessions.vocab.rows_of(["a", "b", "c"]).tolist()
    together, sequence, following, recent = PairFeatures.fit(sessions, threads=1)

    def pairs(group: PairFeatures, row: int) -> dict[int, float]:
        own = slice(group.starts[row], group.starts[row + 1])
        return dict(zip(group.items[own].tolist(), group.values[own].tolist(), strict=True))

    assert pairs(together, a) == pytest.approx({b: 2 / 3**0.5, c: 1 / 3**0.5, a: 2 / 3})
    assert pairs(together, c) == pytest.approx({a: 1 / 3**0.5})
    assert pairs(sequence, a) == pytest.approx({b: 1 / 4, c: 1 / 4, a: 0.5 / 4})
    assert pairs(sequence, b) == pytest.approx({a: 1 / 2})
    assert pairs(sequence, c) == {}
    assert pairs(following, a) == pytest.approx({b: 1 / 4, c: 1 / 4})
    old = 0.5**5  # "ac" is the newer one of two sessions
    assert pairs(recent, a) == pytest.approx({b: old / (2 + 2 * old), c: 1 / (2 + 2 * old), a: old / 2 / (2 + 2 * old)})
    for threads in (2, 3):
        again = PairFeatures.fit(sessions, threads=threads)
        for one, other in zip(again, (together, sequence, following, recent), strict=True):
            assert one.values.tolist() == other.values.tolist()


def test_newer_sessions_by_time() -> None:
    sessions = replace(of_lists(["ab", "", "ac"]), times=np.array([50, 60, 10, 20]))
    a, b, c = sessions.vocab.rows_of(["a", "b", "c"]).tolist()
    recent = PairFeatures.fit(sessions, threads=1)[3]
    own = slice(recent.starts[a], recent.starts[a + 1])
    assert recent.items[own].tolist() == [b, c]
