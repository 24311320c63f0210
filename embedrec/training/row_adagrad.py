"""Adagrad with momentum for tables with sparse gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from embedrec.training.sparse_optimizers import RowOptimizer, distinct_rows, has_kernel


class RowAdagrad(RowOptimizer):
    """sum += g²; velocity = momentum · velocity − rate · g / √(sum + eps); weight += velocity.

    Duchi et al. 2011, with momentum as in Hidasi & Karatzoglou 2018. A sparse gradient changes only its rows and their
    velocity; gradients of a row that occurs several times in a batch are summed before they are squared.
    """

    def __init__(
        self, parameters: Iterable[torch.nn.Parameter], rate: float, momentum: float = 0.0, eps: float = 1e-6
    ) -> None:
        super().__init__(parameters, {"lr": rate, "momentum": momentum, "eps": eps})

    def initial_state(self, p: Tensor, group: Mapping[str, Any]) -> dict[str, Any]:
        """See `RowOptimizer.initial_state`."""
        names = ("sum", "velocity") if group["momentum"] else ("sum",)
        return {name: torch.zeros_like(p) for name in names}

    def update(self, p: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """See `RowOptimizer.update`."""
        numbers = (group["lr"], group["momentum"], group["eps"])
        if gradient.is_sparse:
            step_rows(p, state["sum"], state.get("velocity"), *distinct_rows(gradient), *numbers)
        else:
            step_all(p, state["sum"], state.get("velocity"), gradient, *numbers)


def step_all(
    weights: Tensor, sums: Tensor, velocity: Tensor | None, gradient: Tensor, rate: float, momentum: float, eps: float
) -> None:
    """One step of a whole tensor, in place."""
    if has_kernel(weights):
        step_rows(weights, sums, velocity, torch.arange(len(weights)), gradient, rate, momentum, eps)
        return
    sums.addcmul_(gradient, gradient)
    roots = (sums + eps).sqrt_()
    if velocity is None:
        weights.addcdiv_(gradient, roots, value=-rate)
    else:
        velocity.mul_(momentum).addcdiv_(gradient, roots, value=-rate)
        weights.add_(velocity)


def step_rows(
    weights: Tensor,
    sums: Tensor,
    velocity: Tensor | None,
    rows: Tensor,
    gradient: Tensor,
    rate: float,
    momentum: float,
    eps: float,
) -> None:
    """One step of distinct rows (r,) with their gradient (r, d), in place."""
    if has_kernel(weights):
        from embedrec.kernels import sparse_optimizers as kernels

        buffer = sums if velocity is None else velocity  # unused without momentum, but numba needs an array
        arrays = [tensor.numpy() for tensor in (weights.detach(), sums, buffer, rows, gradient.contiguous())]
        kernels.step_rows(*arrays, rate, momentum, eps, velocity is not None)
        return
    updated = sums.index_select(0, rows).addcmul_(gradient, gradient)
    sums.index_copy_(0, rows, updated)
    change = torch.div(gradient, updated.add_(eps).sqrt_()).mul_(-rate)
    if velocity is not None:
        change.add_(velocity.index_select(0, rows), alpha=momentum)
        velocity.index_copy_(0, rows, change)
    weights.index_add_(0, rows, change)
