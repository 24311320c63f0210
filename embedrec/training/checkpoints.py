"""Checkpoints: artifacts from which an interrupted training resumes with the same result."""

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
    """The state of a training after some epochs. Random numbers derive from (seed, epoch) and are not part of it.

    weights     of the module, by name
    optimizers  the state of each optimizer, as its `state_dict()["state"]`
    scaler      state of the gradient scaler of float16; {} for other precisions
    epochs      the report of each completed epoch
    best        the weights of the best epoch; None without validation
    best_epoch  its number, 0 for none
    """

    weights: Weights
    optimizers: list[dict[int, dict[str, Any]]]
    scaler: dict[str, Any] = field(default_factory=dict)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    best: Weights | None = None
    best_epoch: int = 0


def write(folder: Path, state: State, identity: Mapping[str, Any]) -> None:
    """Write the artifact `folder`, kind "checkpoint"; a kill leaves the previous one.

    identity  what must be equal when training is resumed: recipe, settings, seed, data
    """
    about = {
        "identity": dict(identity),
        "epoch": len(state.epochs),
        "epochs": state.epochs,
        "best_epoch": state.best_epoch,
        "scaler": state.scaler,
    }
    with artifacts.writing(folder, "checkpoint", about) as draft:
        for name, tensor in _tensors(state).items():
            draft.array(name, tensor.detach().cpu().numpy())


def read(
    folder: Path,
    identity: Mapping[str, Any],
    weights: Weights,
    optimizers: Sequence[torch.optim.Optimizer],
    *,
    max_epochs: int,
    metric: str | None,
) -> State:
    """The state in `folder`.

    weights     of a new module; names, shapes and types must match
    optimizers  new ones; their tensors must match
    max_epochs  epochs of the training
    metric      the metric that every epoch must have; None without validation

    Raises SettingsError when there is no checkpoint, or when it belongs to another training, with the differences.
    Raises ArtifactError for arrays and numbers that this training cannot have written.
    """
    if not folder.exists():
        raise SettingsError(f"there is no checkpoint in {folder} to resume; train without --resume")
    artifact = artifacts.read(folder, "checkpoint")
    with artifacts.opening(artifact, "train without --resume"):
        about = msgspec.convert(artifact.about, _About)
    different = _differences(about.identity, identity)
    if different:
        raise SettingsError(
            f"the checkpoint in {folder} belongs to another training ({'; '.join(different)}); use the same settings "
            "and data, or train without --resume"
        )
    with artifacts.opening(artifact, "train without --resume"):
        _check_epochs(about, max_epochs, metric)
        loaded = {name: _load_tensor(artifact, f"weights.{name}", tensor) for name, tensor in weights.items()}
        states: list[dict[int, dict[str, Any]]] = [{} for _ in optimizers]
        for name in sorted(artifact.files):
            match = _OPTIMIZER.fullmatch(name)
            if match is not None:
                number, parameter = int(match["number"]), int(match["parameter"])
                if number >= len(states):
                    raise DataError(f"{name} belongs to a missing optimizer (the training has {len(states)})")
                states[number].setdefault(parameter, {})[match["key"]] = _tensor(artifact, name.removesuffix(".npy"))
        check_states(states, optimizers)
        return State(
            loaded,
            states,
            about.scaler,
            about.epochs,
            {name: _load_tensor(artifact, f"best.{name}", t) for name, t in weights.items()}
            if about.best_epoch
            else None,
            about.best_epoch,
        )


_OPTIMIZER = re.compile(r"optimizer(?P<number>\d{1,9})\.(?P<parameter>\d{1,9})\.(?P<key>\w+)\.npy")
_SCALER = {"scale", "growth_factor", "backoff_factor", "growth_interval", "_growth_tracker"}  # of torch's GradScaler


class _About(msgspec.Struct):
    """The schema of a checkpoint's manifest; `manifest_schema` has checked that numbers are finite."""

    identity: dict[str, Any]
    epochs: list[dict[str, int | float]] = []
    best_epoch: Annotated[int, msgspec.Meta(ge=0)] = 0
    scaler: dict[str, int | float] = {}

    def __post_init__(self) -> None:
        if self.scaler and (self.scaler.keys() != _SCALER or min(self.scaler.values()) < 0):
            raise ValueError("invalid state of the gradient scaler")


def _check_epochs(about: _About, max_epochs: int, metric: str | None) -> None:
    """Raises DataError for records that this training cannot have written, see `read`."""
    needed = {"epoch", "epochs", "loss", "seconds", "examples_per_second"} | ({metric} if metric else set())
    valid = all(needed <= record.keys() and record["epoch"] == n for n, record in enumerate(about.epochs, 1))
    if not valid or not about.best_epoch <= len(about.epochs) <= max_epochs:
        raise DataError(f"its records of {len(about.epochs)} epochs do not match this training")


def _tensors(state: State) -> dict[str, torch.Tensor]:
    """All tensors of a state by the name of their file."""
    named = {f"weights.{name}": tensor for name, tensor in state.weights.items()}
    named |= {f"best.{name}": tensor for name, tensor in (state.best or {}).items()}
    for number, optimizer in enumerate(state.optimizers):
        for parameter, values in optimizer.items():
            named |= {f"optimizer{number}.{parameter}.{key}": torch.as_tensor(v) for key, v in values.items()}
    return named


def _tensor(artifact: Artifact, name: str) -> torch.Tensor:
    return torch.from_numpy(np.array(artifact.array(name), order="C"))


def _load_tensor(artifact: Artifact, name: str, like: torch.Tensor) -> torch.Tensor:
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
            digest = isinstance(old, str) and len(old) == _DIGEST_LENGTH
            differences.append(f"{of}{key} differ" if digest else f"{of}{key} was {old!r}, but is {new!r}")
    return differences


_DIGEST_LENGTH = 64  # characters of a SHA-256, which messages do not print
