"""Windows, batches, and the loss of a batch against one forward pass an example."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from embedrec.data.events import DAY
from embedrec.errors import DataError
from embedrec.models.transformer.recipe import SASRec
from embedrec.models.transformer.training import Windows
from embedrec.training.context import TrainingContext
from tests.conftest import of_lists
from tests.models.transformer.toy_learner import SMALL, create_learner
from tests.training.toy import clustered_sessions


@pytest.mark.parametrize("history", [1, 2, 3, 5, 50])
def test_every_event_but_the_first_is_a_target_once(history: int) -> None:
    sessions = of_lists(["abcdefghijk", "a", "", "bc", "defgh", "ababab"])
    windows = Windows.of(sessions, history)
    assert windows.lengths.max() <= history and (windows.lengths > windows.firsts).all()
    targets = []
    for start, length, first in zip(windows.starts, windows.lengths, windows.firsts, strict=True):
        session = sessions.session_of[start]
        assert start + length < sessions.offsets[session + 1] and (first == 0 or start > sessions.offsets[session])
        targets += range(start + first + 1, start + length + 1)
    assert sorted(targets) == np.flatnonzero(sessions.position_of > 0).tolist()
    assert windows.targets.sum() == len(targets)


def test_sessions_are_in_order_of_time() -> None:
    plain = of_lists(["ab", "bc", "cd"])
    sessions = replace(plain, times=np.array([5, 6, 1, 9, 3, 4]) * DAY)
    assert Windows.of(sessions, 5).starts.tolist() == [2, 4, 0]
    assert Windows.of(plain, 5).starts.tolist() == [0, 2, 4]


@pytest.mark.parametrize("order", ["time", "random"])
def test_batches_hold_every_window_once_and_repeat(order: Any) -> None:
    learner, again = (create_learner(clustered_sessions(), order=order, history=4) for _ in range(2))
    one, same, other = list(learner.batches(1)), list(again.batches(1)), list(learner.batches(2))
    starts = torch.cat([batch.each[0] for batch in one])
    assert sorted(starts.tolist()) == sorted(learner.windows.starts.tolist())
    assert sum(len(batch) for batch in one) == learner.examples
    assert all(torch.equal(a.each[0], b.each[0]) and torch.equal(a.shared[0], b.shared[0])
               for a, b in zip(one, same, strict=True))  # fmt: skip
    assert torch.equal(one[0].each[0], other[0].each[0]) == (order == "time")
    assert not torch.equal(one[0].shared[0], other[0].shared[0])
    for batch in one[:-1]:
        assert 32 - 8 < len(batch) < 32 + 8 and len(batch.shared[0]) == 12
        assert (batch.each[1].diff() >= 0).all()
    parts = [one[0].part(number, 3) for number in range(3)]
    assert sorted(torch.cat([part.each[0] for part in parts]).tolist()) == sorted(one[0].each[0].tolist())


class StoppedError(Exception):
    pass


@pytest.mark.parametrize(
    "settings",
    [
        {"patience": None},
        {"patience": 2, "query": "last", "gates": True, "users": True},
        {"patience": None, "loss": "gbce", "order": "random", "positions": "learned", "history": 3},
        {"patience": None, "hardest": 4, "schedule": "one-cycle", "candidate_dropout": 0.2},
    ],
)
@pytest.mark.parametrize("stop", [1, 3])
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path, settings: Any, stop: int) -> None:
    recipe, sessions = SASRec(**{**SMALL, **settings}), clustered_sessions(40)
    resumed: list[int] = []

    def stopping(event: str, **numbers: Any) -> None:
        if event == "epoch" and numbers["epoch"] == stop:
            raise StoppedError

    def recorded(event: str, **numbers: Any) -> None:
        if event == "resumed":
            resumed.append(numbers["epoch"])

    with pytest.raises(StoppedError):
        recipe.fit(sessions, seed=3, report=stopping, context=TrainingContext(checkpoint=tmp_path / "c"))
    whole = recipe.fit(sessions, seed=3)
    context = TrainingContext(checkpoint=tmp_path / "c", resume=True)
    again = recipe.fit(sessions, seed=3, report=recorded, context=context)
    assert resumed == [stop]
    assert whole.arrays.keys() == again.arrays.keys()
    for name, array in whole.arrays.items():
        assert array.tobytes() == again.arrays[name].tobytes(), name


def test_nothing_to_learn_from() -> None:
    with pytest.raises(DataError, match=r"no session has two events to learn from \(2 sessions, 2 events\)"):
        SASRec(**SMALL).fit(of_lists(["a", "b"]))
