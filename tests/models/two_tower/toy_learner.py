"""A small learner of two towers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from embedrec.data import Sessions
from embedrec.models.two_tower.recipe import TwoTower
from embedrec.models.two_tower.training import Towers, TwoTowerLearner
from tests.training.toy import clustered_sessions

SMALL: dict[str, Any] = {"dim": 8, "epochs": 4, "batch": 32, "negatives": 12}


def create_learner(sessions: Sessions, **settings: Any) -> TwoTowerLearner:
    learner = TwoTower(**{**SMALL, **settings}).learner(sessions, seed=0, device="cpu")
    assert isinstance(learner, TwoTowerLearner)
    return learner


def towers_of(learner: TwoTowerLearner) -> Towers:
    assert isinstance(learner.module, Towers)
    return learner.module


TOWERS: list[dict[str, Any]] = [  # settings of different query towers
    {},
    {"query_layers": "7,5", "users": True, "history": 3, "item_layers": "6"},
    {"history": 0, "users": True, "scoring": "dot", "temperature": 1.0, "patience": None},
    {"loss": "bce", "attention": False, "negatives": 3},
]


def torch_queries(**settings: Any) -> tuple[TwoTowerLearner, Sessions, np.ndarray, np.ndarray]:
    """A learner with random weights, histories, and by torch their queries (q, d) and all item vectors (n, d)."""
    sessions = clustered_sessions()
    learner = create_learner(sessions, **settings)
    towers = towers_of(learner)
    with torch.no_grad():
        for parameter in towers.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    towers.eval()
    events = learner.events[learner.events > 0]
    vectors = towers.item_vectors(torch.arange(len(sessions.vocab)))
    queries = towers.queries(vectors, *towers.histories(events), events).detach().numpy()
    histories = sessions.take(sessions.session_of[events.numpy()], sessions.position_of[events.numpy()])
    return learner, histories, queries, vectors.detach().numpy()
