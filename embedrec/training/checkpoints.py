"""Checkpoints: what a training needs to go on after a kill as if nothing had happened; an artifact like any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from embedrec import artifacts
from embedrec.artifacts import Artifact
from embedrec.errors import ArtifactError, SettingsError

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


def read(folder: Path, identity: Mapping[str, Any], weights: Weights) -> State:
    """The state in `folder`. `weights` are those of a fresh module, whose names and shapes must be found.

    Raises SettingsError when there is none, or when it is of another training: it says what differs.
    """
    if not folder.exists():
        raise SettingsError(f"there is no checkpoint in {folder} to resume; train without --resume")
    artifact = artifacts.read(folder, "checkpoint")
    different = _differences(artifact.about.get("identity", {}), identity)
    if different:
        raise SettingsError(
            f"the checkpoint in {folder} is of another training ({'; '.join(different)}); train with the same, or "
            "without --resume"
        )
    with artifacts.opening(artifact, "train without --resume"):
        has_best = artifact.about["best_epoch"] > 0
        optimizers: list[dict[int, dict[str, Any]]] = []
        for name in sorted(artifact.files):
            group, _, rest = name.removesuffix(".npy").partition(".")
            if group.startswith("optimizer"):
                number, (parameter, _, key) = int(group.removeprefix("optimizer")), rest.partition(".")
                while len(optimizers) <= number:
                    optimizers.append({})
                values = optimizers[number].setdefault(int(parameter), {})
                values[key] = _tensor(artifact, name.removesuffix(".npy"))
        return State(
            {name: _like(artifact, f"weights.{name}", tensor) for name, tensor in weights.items()},
            optimizers,
            artifact.about["scaler"],
            artifact.about["epochs"],
            {name: _like(artifact, f"best.{name}", t) for name, t in weights.items()} if has_best else None,
            artifact.about["best_epoch"],
        )


def _named(state: State) -> dict[str, torch.Tensor]:
    """Every tensor of a state under the name of its file."""
    named = {f"weights.{name}": tensor for name, tensor in state.weights.items()}
    named |= {f"best.{name}": tensor for name, tensor in (state.best or {}).items()}
    for number, optimizer in enumerate(state.optimizers):
        for parameter, values in optimizer.items():
            named |= {f"optimizer{number}.{parameter}.{key}": torch.as_tensor(v) for key, v in values.items()}
    return named


def _tensor(artifact: Artifact, name: str) -> torch.Tensor:
    return torch.from_numpy(np.array(artifact.array(name)))


def _like(artifact: Artifact, name: str, like: torch.Tensor) -> torch.Tensor:
    tensor = _tensor(artifact, name)
    if tensor.shape != like.shape:
        raise ArtifactError(f"{name} has shape {tuple(tensor.shape)} where {tuple(like.shape)} is needed")
    return tensor.to(like.dtype)


def _differences(there: Mapping[str, Any], here: Mapping[str, Any], of: str = "") -> list[str]:
    found: list[str] = []
    for key in dict.fromkeys([*there, *here]):
        old, new = there.get(key), here.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += _differences(old, new, f"{key} ")
        elif old != new:
            known = isinstance(old, str) and len(old) == _DIGEST
            found.append(f"{of}{key} differ" if known else f"{of}{key} was {old!r}, but is {new!r}")
    return found


_DIGEST = 64  # letters of a SHA-256, which says nothing to a reader
