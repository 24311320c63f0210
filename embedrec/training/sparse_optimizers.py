"""The base of optimizers that change only the rows of a sparse gradient."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


class RowOptimizer(torch.optim.Optimizer):
    """An optimizer that updates every parameter with a gradient by `update`."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    if not self.state[p]:
                        self.state[p].update(self.initial_state(p, group))
                    self.update(p, p.grad, self.state[p], group)

    @abstractmethod
    def initial_state(self, p: Tensor, group: Mapping[str, Any]) -> dict[str, Any]:
        """The state of a parameter before its first step: tensors of its shape, and numbers."""
        ...

    @abstractmethod
    def update(self, p: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step of a parameter and its state, in place."""


def distinct_rows(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct rows (r,) of a sparse gradient, ascending, and their values (r, d)."""
    rows = gradient._indices()[0]
    if not bool((rows[1:] > rows[:-1]).all()):  # `is_coalesced` may be false for such rows
        gradient = gradient.coalesce()
    return gradient._indices()[0], gradient._values()


def has_kernel(weights: Tensor) -> bool:
    """Whether a compiled kernel supports the tensor; it reads the rows once."""
    return weights.device.type == "cpu" and weights.dtype == torch.float32 and weights.ndim == 2
