"""Optimisers that leave the rows of a table alone of which a step says nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class RowAdagrad(torch.optim.Optimizer):
    """sum += g²; velocity = momentum · velocity − rate · g / √(sum + eps); weight += velocity.

    Duchi et al. 2011, and momentum as Hidasi & Karatzoglou 2018 combine it. Where the gradient is sparse, only its rows
    are touched, also their velocity; what a row is told several times in a batch is added up before it is squared.
    """

    def __init__(
        self, parameters: Iterable[torch.nn.Parameter], rate: float, momentum: float = 0.0, eps: float = 1e-6
    ) -> None:
        super().__init__(parameters, {"lr": rate, "momentum": momentum, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["sum"] = torch.zeros_like(p)
                    if group["momentum"]:
                        state["velocity"] = torch.zeros_like(p)
                numbers = (group["lr"], group["momentum"], group["eps"])
                if not p.grad.is_sparse:
                    step_all(p, state["sum"], state.get("velocity"), p.grad, *numbers)
                    continue
                rows, values = distinct_rows(p.grad)
                step_rows(p, state["sum"], state.get("velocity"), rows, values, *numbers)


def distinct_rows(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (r,) of a sparse gradient, ascending, each once, and their values (r, d)."""
    rows = gradient._indices()[0]
    if not bool((rows[1:] > rows[:-1]).all()):  # torch forgets that it was so
        gradient = gradient.coalesce()
    return gradient._indices()[0], gradient._values()


def step_all(
    weights: Tensor, sums: Tensor, velocity: Tensor | None, gradient: Tensor, rate: float, momentum: float, eps: float
) -> None:
    """One step of a whole tensor, in place."""
    if compiled(weights):
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
    """One step of some rows (r,), each once, by their gradient (r, d), in place."""
    if compiled(weights):
        from embedrec.kernels.row_adagrad import step_rows as by_rows

        told = sums if velocity is None else velocity  # numba wants an array in its place
        arrays = [tensor.numpy() for tensor in (weights.detach(), sums, told, rows, gradient.contiguous())]
        by_rows(*arrays, rate, momentum, eps, velocity is not None)
        return
    there = sums.index_select(0, rows).addcmul_(gradient, gradient)
    sums.index_copy_(0, rows, there)
    change = torch.div(gradient, there.add_(eps).sqrt_()).mul_(-rate)
    if velocity is not None:
        change.add_(velocity.index_select(0, rows), alpha=momentum)
        velocity.index_copy_(0, rows, change)
    weights.index_add_(0, rows, change)


def compiled(weights: Tensor) -> bool:
    """Whether the kernel can do it, which goes over the rows once."""
    return weights.device.type == "cpu" and weights.dtype == torch.float32 and weights.ndim == 2
