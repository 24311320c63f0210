"""A small learner of two towers."""

from __future__ import annotations

from typing import Any

from embedrec.data import Sessions
from embedrec.models.two_tower.recipe import TwoTower
from embedrec.models.two_tower.training import (
    Towers,
    TwoTowerLearner,
)

SMALL: dict[str, Any] = {"dim": 8, "epochs": 4, "batch": 32, "negatives": 12}


def create_learner(sessions: Sessions, **settings: Any) -> TwoTowerLearner:
    learner = TwoTower(**{**SMALL, **settings}).learner(sessions, seed=0, device="cpu")
    assert isinstance(learner, TwoTowerLearner)
    return learner


def towers_of(learner: TwoTowerLearner) -> Towers:
    assert isinstance(learner.module, Towers)
    return learner.module
