"""Checkpoints: what a training needs to go on after a kill as if nothing had happened; an artifact like any other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import torch

from embedrec.errors import DataError, SettingsError
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.training.optimizer_states import check_states

Weights = dict[str, torch.Tensor]


@dataclass
class State:
    """A training after some epochs. Random numbers come from (seed, epoch), so none need to be kept.

    weights     of the module, by name
    optimizers  the state of each optimiser, as its `state_dict()["state"]`
    scaler      of the gradients of float16; {} for other precisions
    epochs      what was reported of each epoch that is done
    best        the weights of the best epoch; None where nothing is validated
    best_epoch  its number, 0 for none
    """

    weights: Weights
    optimizers: list[dict[int, dict[str, Any]]]
    scaler: dict[str, Any] = field(default_factory=dict)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    best: Weights | None = None
    best_epoch: int = 0


def write(folder: Path, state: State, identity: Mapping[str, Any]) -> None:
    """Write the artifact `folder`, kind "checkpoint"; a kill leaves the one before.

    identity  what must be the same when it is resumed: recipe, settings, seed, data
    """
    about = {
        "identity": dict(identity),
        "epoch": len(state.epochs),
        "epochs": state.epochs,
        "best_epoch": state.best_epoch,
        "scaler": state.scaler,
    }
    with artifacts.writing(folder, "checkpoint", about) as draft:
        for name, tensor in _named(state).items():
            draft.array(name, tensor.detach().cpu().numpy())


def read(
    folder: Path,
    identity: Mapping[str, Any],
    weights: Weights,
    optimizers: Sequence[torch.optim.Optimizer],
    *,
    most: int,
    watched: str | None,
) -> State:
    """The state in `folder`.

    weights     of a fresh module, whose names and shapes must be found
    optimizers  fresh ones, whose tensors must be found
    most        epochs that the training may take
    watched     the metric that every epoch has; None where nothing is validated

    Raises SettingsError when there is none, or when it is of another training: it says what differs. Raises
    ArtifactError for arrays and numbers that this training cannot have left.
    """
    if not folder.exists():
        raise SettingsError(f"there is no checkpoint in {folder} to resume; train without --resume")
    artifact = artifacts.read(folder, "checkpoint")
    with artifacts.opening(artifact, "train without --resume"):
        about = msgspec.convert(artifact.about, _About)
    different = _differences(about.identity, identity)
    if different:
        raise SettingsError(
            f"the checkpoint in {folder} is of another training ({'; '.join(different)}); train with the same, or "
            "without --resume"
        )
    with artifacts.opening(artifact, "train without --resume"):
        _check_epochs(about, most, watched)
        kept = {name: _like(artifact, f"weights.{name}", tensor) for name, tensor in weights.items()}
        states: list[dict[int, dict[str, Any]]] = [{} for _ in optimizers]
        for name in sorted(artifact.files):
            match = _OPTIMIZER.fullmatch(name)
            if match is not None:
                number, parameter = int(match["number"]), int(match["parameter"])
                if number >= len(states):
                    raise DataError(f"{name} is of an optimizer that there is not (there are {len(states)})")
                states[number].setdefault(parameter, {})[match["key"]] = _tensor(artifact, name.removesuffix(".npy"))
        check_states(states, optimizers)
        return State(
            kept,
            states,
            about.scaler,
            about.epochs,
            {name: _like(artifact, f"best.{name}", t) for name, t in weights.items()} if about.best_epoch else None,
            about.best_epoch,
        )


_OPTIMIZER = re.compile(r"optimizer(?P<number>\d{1,9})\.(?P<parameter>\d{1,9})\.(?P<key>\w+)\.npy")
_SCALER = {"scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker"}  # of torch's GradScaler


class _About(msgspec.Struct):
    """What must stand in the manifest of a checkpoint; its numbers are finite, see `manifests`."""

    identity: dict[str, Any]
    epochs: list[dict[str, int | float]] = []
    best_epoch: Annotated[int, msgspec.Meta(ge=0)] = 0
    scaler: dict[str, int | float] = {}

    def __post_init__(self) -> None:
        if self.scaler and (self.scaler.keys() != _SCALER or min(self.scaler.values()) < 0):
            raise ValueError("the state of its scaler is none")


def _check_epochs(about: _About, most: int, watched: str | None) -> None:
    """Raises ArtifactError for records that no such training leaves, see `read`."""
    needed = {"epoch", "epochs", "loss", "seconds", "examples_per_second"} | ({watched} if watched else set())
    good = all(needed <= record.keys() and record["epoch"] == n for n, record in enumerate(about.epochs, 1))
    if not good or not about.best_epoch <= len(about.epochs) <= most:
        raise DataError(f"its {len(about.epochs)} epochs are no record of this training")


def _named(state: State) -> dict[str, torch.Tensor]:
    """Every tensor of a state under the name of its file."""
    named = {f"weights.{name}": tensor for name, tensor in state.weights.items()}
    named |= {f"best.{name}": tensor for name, tensor in (state.best or {}).items()}
    for number, optimizer in enumerate(state.optimizers):
        for parameter, values in optimizer.items():
            named |= {f"optimizer{number}.{parameter}.{key}": torch.as_tensor(v) for key, v in values.items()}
    return named


def _tensor(artifact: Artifact, name: str) -> torch.Tensor:
    return torch.from_numpy(np.array(artifact.array(name), order="C"))


def _like(artifact: Artifact, name: str, like: torch.Tensor) -> torch.Tensor:
    tensor = _tensor(artifact, name)
    if tensor.shape != like.shape:
        raise DataError(f"{name} has shape {tuple(tensor.shape)} where {tuple(like.shape)} is needed")
    if tensor.dtype != like.dtype or not bool(torch.isfinite(tensor).all()):
        raise DataError(f"{name} must be finite and of type {like.dtype}, but is {tensor.dtype}")
    return tensor


def _differences(saved: Mapping[str, Any], current: Mapping[str, Any], of: str = "") -> list[str]:
    differences: list[str] = []
    for key in dict.fromkeys([*saved, *current]):
        old, new = saved.get(key), current.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            differences += _differences(old, new, f"{key} ")
        elif old != new:
            known = isinstance(old, str) and len(old) == _DIGEST
            differences.append(f"{of}{key} differ" if known else f"{of}{key} was {old!r}, but is {new!r}")
    return differences


_DIGEST = 64  # letters of a SHA-256, which says nothing to a reader
