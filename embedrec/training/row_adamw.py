"""AdamW for tables with sparse gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from embedrec.training.sparse_optimizers import RowOptimizer, distinct_rows, has_kernel


class RowAdamW(RowOptimizer):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019), whose steps change only the rows of the gradient.

    The moments of a row change only when it is in the gradient; bias correction uses the number of all steps, as in
    `torch.optim.SparseAdam`. Weight decay applies to all rows: once in `every` steps, with the accumulated factor of
    these steps.
    """

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        rate: float,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-5,
        decay: float = 0.0,
        every: int = 64,
    ) -> None:
        super().__init__(parameters, {"lr": rate, "betas": betas, "eps": eps, "decay": decay, "every": every})

    def initial_state(self, p: Tensor, group: Mapping[str, Any]) -> dict[str, Any]:
        """See `RowOptimizer.initial_state`."""
        left = torch.ones((), dtype=p.dtype, device=p.device)  # as `load_state_dict` makes it
        return {"step": 0, "left": left, "means": torch.zeros_like(p), "squares": torch.zeros_like(p)}

    def update(self, p: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """See `RowOptimizer.update`."""
        state["step"] += 1
        state["left"] *= 1 - group["lr"] * group["decay"]
        if not state["step"] % group["every"]:
            p.mul_(state["left"])
            state["left"].fill_(1)
        rows, values = distinct_rows(gradient)
        step_rows(p, state, rows, values, group["lr"], group["betas"], group["eps"])

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Converts the number of steps, which is a tensor in a checkpoint."""
        super().load_state_dict(state_dict)
        for state in self.state.values():
            state["step"] = int(state["step"])


def step_rows(
    weights: Tensor,
    state: dict[str, Any],
    rows: Tensor,
    gradient: Tensor,
    rate: float,
    betas: tuple[float, float],
    eps: float,
) -> None:
    """One step of distinct rows (r,) with their gradient (r, d), in place."""
    first, second = betas
    means, squares = state["means"], state["squares"]
    root = (1 - second ** state["step"]) ** 0.5  # bias corrections of moments that start at zero
    rate, eps = rate * root / (1 - first ** state["step"]), eps * root
    if has_kernel(weights):
        from embedrec.kernels import row_adamw

        arrays = [tensor.numpy() for tensor in (weights.detach(), means, squares, rows, gradient.contiguous())]
        row_adamw.step_rows(*arrays, rate, first, second, eps)
        return
    mean = means.index_select(0, rows).mul_(first).add_(gradient, alpha=1 - first)
    square = squares.index_select(0, rows).mul_(second).addcmul_(gradient, gradient, value=1 - second)
    means.index_copy_(0, rows, mean)
    squares.index_copy_(0, rows, square)
    weights.index_add_(0, rows, mean.div_(square.sqrt_().add_(eps)), alpha=-rate)
