"""A small learner of GRU4Rec, and toy sessions with item features."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from embedrec.data import Features, Sessions, Vocab
from embedrec.data.features import Categories, Lists
from embedrec.models.gru4rec.network import Network
from embedrec.models.gru4rec.recipe import GRU4Rec
from embedrec.models.gru4rec.training import GRU4RecLearner

DRY: dict[str, Any] = {"embedding_dropout": 0.0, "hidden_dropout": 0.0}
SMALL: dict[str, Any] = {"layers": "8", "epochs": 3, "batch": 8, "n_sample": 12}


def with_features(sessions: Sessions, *, less: int = 0, lists: bool = True) -> Sessions:
    """Every item but the last `less` has its group as a category, in a list, and a number."""
    ids = sessions.vocab.ids[: len(sessions.vocab) - less]
    group = np.array([int(str(i)[1:]) // 5 if len(str(i)) > 1 else ord(str(i)) % 3 for i in ids], dtype=np.int32)
    names = np.array([f"g{g}" for g in range(6)], dtype=object)
    words = {"tags": Lists(np.arange(len(ids) + 1), group, names)} if lists else {}
    kinds = {"group": Categories(group, names)} if lists else {}
    return replace(sessions, item_features=Features(Vocab(ids), {"n": group.astype(np.float32)}, kinds, words))


def create_learner(sessions: Sessions, **settings: Any) -> GRU4RecLearner:
    torch.manual_seed(0)
    learner = GRU4Rec(**{**SMALL, **settings}).learner(sessions, seed=0, device="cpu")
    assert isinstance(learner, GRU4RecLearner)
    return learner


def network_of(learner: GRU4RecLearner) -> Network:
    assert isinstance(learner.module, Network)
    return learner.module
