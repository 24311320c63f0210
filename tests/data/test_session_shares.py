"""Shares of a sessions artifact cover it, and are about equal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedrec.data import Sessions
from embedrec.data.session_shares import session_share
from embedrec.errors import DataError


@pytest.fixture
def given(tmp_path: Path) -> Sessions:
    rng = np.random.default_rng(0)
    lists = [[f"i{i}" for i in rng.integers(0, 20, length)] for length in rng.geometric(0.2, 70)]
    sessions = Sessions.of_lists(lists)
    Sessions(
        sessions.offsets,
        sessions.items,
        sessions.vocab,
        sessions.ids,
        times=np.arange(len(sessions.items), dtype=np.int64),
        users=np.arange(len(sessions)),
    ).save(tmp_path / "s", {})
    return Sessions.load(tmp_path / "s")


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_are_all_sessions_in_order(given: Sessions, tmp_path: Path, count: int) -> None:
    shares = [session_share(tmp_path / "s", number, count) for number in range(count)]
    assert [session.tolist() for share in shares for session in share] == [session.tolist() for session in given]
    assert given.times is not None
    assert np.concatenate([share.times for share in shares if share.times is not None]).tolist() == given.times.tolist()
    assert np.concatenate([share.ids for share in shares]).tolist() == list(range(len(given)))
    longest = int(given.lengths.max())
    assert all(abs(len(share.items) - len(given.items) / count) < longest for share in shares)
    assert all(share.vocab.ids.tolist() == given.vocab.ids.tolist() and share.users is None for share in shares)


def test_fewer_sessions_than_processes(tmp_path: Path) -> None:
    Sessions.of_lists([["a", "b", "c"], ["a", "c"]]).save(tmp_path / "s", {})
    with pytest.raises(DataError) as caught:
        [session_share(tmp_path / "s", number, 4) for number in range(4)]
    assert str(caught.value) == "2 sessions are too few for 4 processes; start fewer"
