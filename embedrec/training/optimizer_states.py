"""What an optimiser keeps between steps, as it must be before a step may use it.

Steps go through compiled kernels, which write wherever an array is said to end: what comes from a file is compared
with what the optimiser itself would make.
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
    """Raises DataError unless every tensor is one that the optimiser beside it keeps, in its shape and type.

    states  of each optimiser, by the number of the parameter and the name of the tensor; of an optimiser, or of a
            parameter, that had nothing to do yet there is none
    """
    for number, (state, optimizer) in enumerate(zip(states, optimizers, strict=True)):
        groups = [(p, group) for group in optimizer.param_groups for p in group["params"]]
        for place, tensors in state.items():
            name = f"optimizer{number}.{place}"
            if place >= len(groups):
                raise DataError(f"{name} is of a parameter that there is not (there are {len(groups)})")
            expected = _kept(optimizer, *groups[place])
            if tensors.keys() != expected.keys():
                raise DataError(f"{name} holds {', '.join(tensors)} where {', '.join(expected)} are needed")
            for key, like in expected.items():
                _check(f"{name}.{key}", tensors[key], like)


def _check(name: str, tensor: torch.Tensor, like: torch.Tensor) -> None:
    if tensor.shape != like.shape or tensor.dtype != like.dtype:
        raise DataError(
            f"{name} has shape {tuple(tensor.shape)} and type {tensor.dtype} where {tuple(like.shape)} and "
            f"{like.dtype} are needed"
        )
    if not bool(torch.isfinite(tensor).all()):
        raise DataError(f"{name} holds NaN or infinity")
    if name.endswith(".step") and not 1 <= float(tensor) <= _MOST_STEPS:
        raise DataError(f"{name} counts {float(tensor):g} steps")


def _kept(optimizer: torch.optim.Optimizer, p: torch.Tensor, group: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The tensors that the optimiser keeps for a parameter: their shapes and types, without content."""
    if isinstance(optimizer, RowOptimizer):
        state = optimizer.fresh(p.detach().to("meta"), group)
        return {key: torch.as_tensor(value) for key, value in state.items()}
    # one of torch's own says it by a step of a small parameter
    small = torch.nn.Parameter(torch.zeros((2,) * p.ndim, dtype=p.dtype))
    small.grad = torch.zeros_like(small)
    options = {key: value for key, value in group.items() if key != "params"}
    kind: Any = type(optimizer)
    twin = kind([{**options, "params": [small]}])
    twin.step()
    values = {key: torch.as_tensor(value) for key, value in twin.state[small].items()}
    wide = p.detach().to("meta")
    return {
        key: torch.empty_like(wide, dtype=tensor.dtype) if tensor.shape == small.shape and key != "step" else tensor
        for key, tensor in values.items()
    }
