"""Training on shares: each of several processes reads a part of the sessions, and all train one model."""

from __future__ import annotations

import hashlib
from abc import ABC
from typing import ClassVar

import numpy as np

from embedrec.errors import DataError, SettingsError
from embedrec.training.context import TrainingContext


class TrainsOnShares(ABC):
    """A recipe whose processes may each read a share of the sessions.

    name         of the recipe
    EVENT_BYTES  bytes that a process needs for an event of its share, about
    WHOLE        settings that need all sessions in every process
    """

    name: ClassVar[str]
    EVENT_BYTES: ClassVar[int]
    WHOLE: ClassVar[tuple[str, ...]] = ()


def check_share(recipe: TrainsOnShares, events: int, context: TrainingContext) -> None:
    """Raises SettingsError for settings that need all sessions; DataError if the events of a share do not fit."""
    name = recipe.name
    for key in recipe.WHOLE:
        if getattr(recipe, key) not in (None, False):
            raise SettingsError(f"{key} of {name} needs all sessions in every process; leave it or --memory out")
    need = events * recipe.EVENT_BYTES
    if context.memory is not None and need > context.memory:
        raise DataError(
            f"{name} needs about {need >> 20:,}M for {events:,} events, more than --memory {context.memory >> 20:,}M; "
            "start more processes with torchrun, each of which reads its share, or raise --memory"
        )


def total(values: np.ndarray, context: TrainingContext) -> np.ndarray:
    """The sums of numbers over all processes: an array of the same shape and type."""
    if context.processes is None:
        return values
    import torch

    return context.processes.sum(torch.from_numpy(values.copy()).to(context.device)).cpu().numpy()


def joint_digest(own: str, context: TrainingContext) -> str:
    """One digest for the digests, hexadecimal, of the shares of all processes, in their order."""
    if context.processes is None:
        return own
    parts = np.zeros((context.processes.count, len(own) // 2), dtype=np.int64)
    parts[context.processes.rank] = list(bytes.fromhex(own))
    return hashlib.sha256(total(parts, context).astype(np.uint8).tobytes()).hexdigest()


def share_seed(seed: int, context: TrainingContext) -> int:
    """The seed of the batches of this process: that of the training in the first process, others by (seed, rank)."""
    rank = 0 if context.processes is None else context.processes.rank
    return int(np.random.SeedSequence([seed, rank]).generate_state(1)[0]) if rank else seed
