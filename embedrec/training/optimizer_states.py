"""Checks of optimizer states that come from a file.

Compiled kernels do not check array bounds, so shapes and types must equal those that the optimizer itself would create.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from embedrec.errors import DataError
from embedrec.training.sparse_optimizers import RowOptimizer

_MOST_STEPS = 1 << 53


def check_states(
    states: Sequence[Mapping[int, Mapping[str, torch.Tensor]]], optimizers: Sequence[torch.optim.Optimizer]
) -> None:
    """Raises DataError unless the tensors are those of the optimizers' states, with their shapes and types.

    states  of each optimizer: number of the parameter → name → tensor; parameters without a step have no state
    """
    for number, (state, optimizer) in enumerate(zip(states, optimizers, strict=True)):
        groups = [(p, group) for group in optimizer.param_groups for p in group["params"]]
        for parameter, tensors in state.items():
            name = f"optimizer{number}.{parameter}"
            if parameter >= len(groups):
                raise DataError(f"{name} belongs to a missing parameter (the optimizer has {len(groups)})")
            expected = _expected_state(optimizer, *groups[parameter])
            if tensors.keys() != expected.keys():
                raise DataError(f"{name} contains {', '.join(tensors)} where {', '.join(expected)} are needed")
            for key, like in expected.items():
                _check(f"{name}.{key}", tensors[key], like)


def _check(name: str, tensor: torch.Tensor, like: torch.Tensor) -> None:
    if tensor.shape != like.shape or tensor.dtype != like.dtype:
        raise DataError(
            f"{name} has shape {tuple(tensor.shape)} and type {tensor.dtype} where {tuple(like.shape)} and "
            f"{like.dtype} are needed"
        )
    if not bool(torch.isfinite(tensor).all()):
        raise DataError(f"{name} contains NaN or infinity")
    if name.endswith(".step") and not 1 <= float(tensor) <= _MOST_STEPS:
        raise DataError(f"{name} has an invalid number of steps, {float(tensor):g}")


def _expected_state(
    optimizer: torch.optim.Optimizer, p: torch.Tensor, group: Mapping[str, Any]
) -> dict[str, torch.Tensor]:
    """The state of a parameter: tensors with shapes and types, without content."""
    if isinstance(optimizer, RowOptimizer):
        state = optimizer.initial_state(p.detach().to("meta"), group)
        return {key: torch.as_tensor(value) for key, value in state.items()}
    # for torch's own optimizers, a step of a small parameter shows the names and types
    small = torch.nn.Parameter(torch.zeros((2,) * p.ndim, dtype=p.dtype))
    small.grad = torch.zeros_like(small)
    options = {key: value for key, value in group.items() if key != "params"}
    optimizer_class: Any = type(optimizer)
    other = optimizer_class([{**options, "params": [small]}])
    other.step()
    values = {key: torch.as_tensor(value) for key, value in other.state[small].items()}
    full = p.detach().to("meta")
    return {
        key: torch.empty_like(full, dtype=tensor.dtype) if tensor.shape == small.shape and key != "step" else tensor
        for key, tensor in values.items()
    }
