"""What Adagrad knows of the rows of a table: kept with a model, so that a warm start steps as training ended.

Without it, Adagrad's first steps are as large as those of a new vector, and trained vectors are lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from embedrec.training.row_adagrad import RowAdagrad


def row_squares(optimizers: Sequence[torch.optim.Optimizer], table: torch.nn.Parameter) -> np.ndarray:
    """The sums of squared gradients of the rows of a table, each the mean of its numbers: (n,) float32.

    Zeros before the first step, and for optimizers that sum none.
    """
    for optimizer in optimizers:
        sums = optimizer.state.get(table, {}).get("sum")
        if isinstance(sums, torch.Tensor):
            return np.asarray(sums.float().mean(dim=1).cpu().numpy())
    return np.zeros(len(table), dtype=np.float32)


def start_squares(optimizers: Sequence[torch.optim.Optimizer], table: torch.nn.Parameter, squares: np.ndarray) -> None:
    """Start the sums of squared gradients of a table with `squares` (n,), equal in each row."""
    values = torch.from_numpy(squares).to(table.device, table.dtype)[:, None].expand_as(table).contiguous()
    for optimizer in optimizers:
        group = next((g for g in optimizer.param_groups if any(p is table for p in g["params"])), None)
        if group is not None and isinstance(optimizer, RowAdagrad):
            optimizer.state[table].update({**optimizer.initial_state(table, group), "sum": values})
        elif group is not None and isinstance(optimizer, torch.optim.Adagrad):
            optimizer.state[table]["sum"].copy_(values)
