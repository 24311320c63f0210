"""What optimisers share that leave the rows of a table alone of which a step says nothing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor


class RowOptimizer(torch.optim.Optimizer):
    """Steps of every parameter that has a gradient."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    if not self.state[p]:
                        self.state[p].update(self.fresh(p, group))
                    self.step_of(p, p.grad, self.state[p], group)

    @abstractmethod
    def fresh(self, p: Tensor, group: Mapping[str, Any]) -> dict[str, Any]:
        """What is kept of a parameter, before its first step: tensors of its shape, and numbers."""
        ...

    @abstractmethod
    def step_of(self, p: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step of a parameter, and of what is kept of it, in place."""


def distinct_rows(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (r,) of a sparse gradient, ascending, each once, and their values (r, d)."""
    rows = gradient._indices()[0]
    if not bool((rows[1:] > rows[:-1]).all()):  # torch forgets that it was so
        gradient = gradient.coalesce()
    return gradient._indices()[0], gradient._values()


def compiled(weights: Tensor) -> bool:
    """Whether a kernel can do it, which goes over the rows once."""
    return weights.device.type == "cpu" and weights.dtype == torch.float32 and weights.ndim == 2
