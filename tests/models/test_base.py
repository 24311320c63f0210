"""The protocol of models; `test_contract` holds every recipe of the registry to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from embedrec.data import Sessions, Vocab
from embedrec.data.topk import TopK
from embedrec.models.base import Model
from embedrec.models.baselines.popular import Popular
from tests.conftest import tiny_sessions


@dataclass(frozen=True)
class FirstItems:
    """Recommends the first items of the vocabulary: all that the protocol requires, and nothing else."""

    recipe: Any
    vocab: Vocab
    arrays: dict[str, np.ndarray]

    def recommend(self, histories: Sessions, k: int, *, exclude_seen: bool = True) -> TopK:
        rows = np.tile(np.arange(k, dtype=np.int32), (len(histories), 1))
        return TopK(rows, -rows.astype(np.float32), self.vocab)


@dataclass(frozen=True)
class WithoutArrays:
    recipe: Any
    vocab: Vocab

    def recommend(self, histories: Sessions, k: int, *, exclude_seen: bool = True) -> TopK:
        raise AssertionError


def test_the_protocol_is_checked_at_run_time() -> None:
    sessions = tiny_sessions()
    model = FirstItems(Popular(), sessions.vocab, {})
    assert isinstance(model, Model)
    assert model.recommend(sessions, 2).rows.tolist() == [[0, 1]] * len(sessions)
    assert isinstance(Popular().fit(sessions), Model)
    assert not isinstance(WithoutArrays(Popular(), sessions.vocab), Model)
    assert not isinstance(Popular(), Model)
