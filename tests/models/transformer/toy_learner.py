"""A small learner of the self-attentive model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from embedrec.data import Sessions
from embedrec.models.transformer.network import Network
from embedrec.models.transformer.recipe import SASRec
from embedrec.models.transformer.training import SASRecLearner
from tests.training.toy import clustered_sessions

SMALL: dict[str, Any] = {"dim": 8, "blocks": 2, "epochs": 4, "batch": 32, "negatives": 12}

NETWORKS: list[dict[str, Any]] = [  # settings of different networks
    {},
    {"query": "last", "positions": "learned", "gates": True, "heads": 4},
    {"positions": "none", "blocks": 0, "users": True},
    {"query": "last", "blocks": 1, "hidden": 5, "heads": 1, "users": True, "scoring": "dot"},
    {"history": 3, "blocks": 3},
]


def create_learner(sessions: Sessions, **settings: Any) -> SASRecLearner:
    learner = SASRec(**{**SMALL, **settings}).learner(sessions, seed=0, device="cpu")
    assert isinstance(learner, SASRecLearner)
    return learner


def network_of(learner: SASRecLearner) -> Network:
    assert isinstance(learner.module, Network)
    return learner.module


def random_learner(sessions: Sessions, **settings: Any) -> SASRecLearner:
    """A learner with random weights, in evaluation mode."""
    learner = create_learner(sessions, **settings)
    with torch.no_grad():
        for parameter in learner.module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    learner.module.eval()
    return learner


def torch_queries(**settings: Any) -> tuple[SASRecLearner, Sessions, np.ndarray]:
    """A learner with random weights, all prefixes of its sessions, and their queries (q, d), each computed alone."""
    sessions = clustered_sessions(40)
    learner = random_learner(sessions, **settings)
    network, queries, whole, lengths = network_of(learner), [], [], []
    with torch.no_grad():
        vectors = network.item_vectors(torch.arange(len(sessions.vocab)))
        for s in range(len(sessions)):
            for length in range(1, len(sessions[s]) + 1):
                rows = torch.from_numpy(sessions[s][:length].astype(np.int64))[-learner.recipe.history :]
                query = network.queries(vectors[rows], torch.tensor([len(rows)]))[-1]
                if learner.user_ids is not None:
                    query = query + network.user_vectors(network.user_of[sessions.offsets[s]][None])[0]
                queries.append(query.numpy())
                whole.append(s)
                lengths.append(length)
    return learner, sessions.take(np.array(whole), np.array(lengths)), np.array(queries)
