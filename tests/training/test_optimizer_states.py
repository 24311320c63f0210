"""Checks of optimizer states that come from a file."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from embedrec.errors import DataError
from embedrec.training.optimizer_states import check_states
from embedrec.training.row_adagrad import RowAdagrad
from embedrec.training.row_adamw import RowAdamW


def stepped(kind: str) -> torch.optim.Optimizer:
    """An optimizer after one step of a (3, 2) parameter."""
    parameter = torch.nn.Parameter(torch.ones(3, 2))
    parameter.grad = torch.ones(3, 2)
    optimizer: torch.optim.Optimizer
    if kind == "adagrad":
        optimizer = RowAdagrad([parameter], 0.1, 0.5)
    elif kind == "adamw":
        parameter.grad = torch.ones(3, 2).to_sparse(1)
        optimizer = RowAdamW([parameter], 0.1, (0.9, 0.999), 1e-8)
    else:
        optimizer = torch.optim.Adam([parameter], 0.1)
    optimizer.step()
    return optimizer


def state_of(optimizer: torch.optim.Optimizer) -> dict[int, dict[str, torch.Tensor]]:
    return {0: {key: torch.as_tensor(value) for key, value in next(iter(optimizer.state.values())).items()}}


@pytest.mark.parametrize("kind", ["adagrad", "adamw", "adam"])
def test_the_states_of_an_optimizer_pass(kind: str) -> None:
    optimizer = stepped(kind)
    check_states([state_of(optimizer)], [optimizer])
    check_states([{}], [optimizer])  # no step yet


@pytest.mark.parametrize("kind", ["adagrad", "adamw", "adam"])
def test_other_shapes_types_and_values_are_refused(kind: str) -> None:
    optimizer = stepped(kind)
    state = state_of(optimizer)
    name = next(key for key, tensor in state[0].items() if tensor.shape == (3, 2))
    changes: list[tuple[Any, str]] = [
        (torch.ones(4, 2), rf"optimizer0\.0\.{name} has shape \(4, 2\) and type torch.float32 where"),
        (torch.ones(3, 2, dtype=torch.float64), "type torch.float64 where"),
        (torch.full((3, 2), torch.nan), f"{name} contains NaN or infinity"),
    ]
    for tensor, message in changes:
        with pytest.raises(DataError, match=message):
            check_states([{0: {**state[0], name: tensor}}], [optimizer])
    with pytest.raises(DataError, match=r"optimizer0\.0 contains other where"):
        check_states([{0: {"other": torch.ones(3, 2)}}], [optimizer])
    with pytest.raises(DataError, match=r"optimizer0.1 belongs to a missing parameter \(the optimizer has 1\)"):
        check_states([{1: state[0]}], [optimizer])


def test_the_number_of_steps_is_positive() -> None:
    optimizer = stepped("adam")
    state = state_of(optimizer)
    with pytest.raises(DataError, match="has an invalid number of steps, 0"):
        check_states([{0: {**state[0], "step": torch.tensor(0.0)}}], [optimizer])
