"""AdamW by rows: a step by hand, torch's own optimisers as twins, compiled against torch, decay of all rows."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from embedrec.training import row_adamw
from embedrec.training.row_adamw import RowAdamW


def sparse(rows: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    return torch.sparse_coo_tensor(rows[None], values, shape, check_invariants=True)


@pytest.fixture(params=[True, False], ids=["compiled", "torch"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr(row_adamw, "has_kernel", lambda tensor: False)


@pytest.mark.usefixtures("either")
def test_two_steps_by_hand() -> None:
    """The second step names row 1 twice and row 0 not at all; its means stay, and decay pulls at both."""
    table = nn.Parameter(torch.tensor([[1.0], [2.0]]))
    optimizer = RowAdamW([table], 0.1, (0.9, 0.99), 1e-5, decay=0.5, every=1)
    weight, mean, square = [1.0, 2.0], [0.0, 0.0], [0.0, 0.0]
    steps = (([0, 1], [[0.4], [-0.2]], {0: 0.4, 1: -0.2}), ([1, 1], [[0.3], [0.5]], {1: 0.8}))
    for t, (rows, values, summed) in enumerate(steps, start=1):
        table.grad = sparse(torch.tensor(rows), torch.tensor(values), (2, 1))
        optimizer.step()
        weight = [w * (1 - 0.1 * 0.5) for w in weight]
        for row, g in summed.items():
            mean[row] = 0.9 * mean[row] + 0.1 * g
            square[row] = 0.99 * square[row] + 0.01 * g * g
            weight[row] -= 0.1 * (mean[row] / (1 - 0.9**t)) / (sqrt(square[row] / (1 - 0.99**t)) + 1e-5)
        np.testing.assert_allclose(table.detach().numpy()[:, 0], weight, rtol=1e-5)


@pytest.mark.usefixtures("either")
def test_steps_of_all_rows_equal_adamw_of_torch() -> None:
    random = torch.Generator().manual_seed(0)
    start = torch.randn(5, 3, generator=random)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    optimizer = RowAdamW([ours], 0.05, (0.9, 0.99), 1e-5, 0.1, every=1)
    twin = torch.optim.AdamW([theirs], 0.05, (0.9, 0.99), 1e-5, 0.1)
    for _ in range(5):
        gradient, order = torch.randn(5, 3, generator=random), torch.randperm(5, generator=random)
        ours.grad, theirs.grad = sparse(order, gradient[order], (5, 3)), gradient
        optimizer.step()
        twin.step()
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("either")
def test_steps_without_decay_equal_sparse_adam_of_torch() -> None:
    random = torch.Generator().manual_seed(1)
    start = torch.randn(20, 4, generator=random)
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    betas, eps = (0.9, 0.99), 1e-12  # added in another place
    optimizer, twin = RowAdamW([ours], 0.05, betas, eps), torch.optim.SparseAdam([theirs], 0.05, betas, eps)
    for _ in range(5):
        rows = torch.randint(20, (6,), generator=random)
        gradient = sparse(rows, torch.randn(6, 4, generator=random), (20, 4))
        ours.grad, theirs.grad = gradient, gradient.clone()
        optimizer.step()
        twin.step()
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_decay_of_skipped_steps_is_applied_at_once() -> None:
    """No gradient but one of row 0: after a block, other rows are where decay of every step leaves them."""
    tables = [nn.Parameter(torch.ones(3, 2)) for _ in range(2)]
    optimizers = [RowAdamW([table], 0.1, decay=0.3, every=every) for table, every in zip(tables, (1, 4), strict=True)]
    for step in range(4):
        for table, optimizer in zip(tables, optimizers, strict=True):
            optimizer.param_groups[0]["lr"] = 0.1 / (1 + step)  # a schedule
            table.grad = sparse(torch.tensor([0]), torch.ones(1, 2), (3, 2))
            optimizer.step()
            assert (table[1].tolist() == [1, 1]) == (optimizer.param_groups[0]["every"] == 4 and step < 3)
    np.testing.assert_allclose(tables[0][1:].detach().numpy(), tables[1][1:].detach().numpy(), rtol=1e-6)


def test_a_loaded_state_continues_identically() -> None:
    whole, first = (nn.Parameter(torch.ones(3, 2)) for _ in range(2))
    steps = [sparse(torch.tensor(rows), torch.ones(len(rows), 2), (3, 2)) for rows in ([0, 2], [2], [1])]
    optimizer = RowAdamW([whole], 0.1, decay=0.3, every=3)
    for gradient in steps:
        whole.grad = gradient
        optimizer.step()
    begun = RowAdamW([first], 0.1, decay=0.3, every=3)
    first.grad = steps[0]
    begun.step()
    second = nn.Parameter(first.detach().clone())
    again = RowAdamW([second], 0.1, decay=0.3, every=3)
    kept = {0: {key: torch.as_tensor(value) for key, value in begun.state_dict()["state"][0].items()}}
    again.load_state_dict({**again.state_dict(), "state": kept})
    for gradient in steps[1:]:
        second.grad = gradient
        again.step()
    assert torch.equal(second, whole)
