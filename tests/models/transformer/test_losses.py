"""Losses against autograd; gradients that are stored with the loss."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from embedrec.models.transformer import losses

COLUMN, B, U, D = torch.tensor([0, 3, 3]), 3, 6, 4
WEIGHTS = torch.tensor([1.0, 2.0, 1.0, 1.0, 0.0, 3.0])
CORRECTIONS = torch.tensor([0.3, -0.2, 0.0, 0.5, 0.1, -0.4])


def slow(queries: Tensor, candidates: Tensor, name: str, hardest: int | None) -> Tensor:
    total = torch.zeros(())
    for query, target in zip(queries, COLUMN.tolist(), strict=True):
        scores = candidates @ query
        if name == "gbce":
            total = total - 0.4 * functional.logsigmoid(scores[target])
            for item in range(U):
                if item != target:
                    total = total - WEIGHTS[item] * functional.logsigmoid(-scores[item])
            continue
        right = scores[target] - CORRECTIONS[target]
        rivals = [
            scores[item] + WEIGHTS[item].log() - CORRECTIONS[item]
            for item in range(U)
            if item != target and WEIGHTS[item] > 0
        ]
        rivals = sorted(rivals, key=lambda score: float(score.detach()), reverse=True)[:hardest]
        total = total + torch.logsumexp(torch.stack([right, *rivals]), 0) - right
    return total


@pytest.mark.parametrize(("name", "hardest"), [("softmax", None), ("softmax", 2), ("gbce", None)])
@pytest.mark.parametrize("compiled", [True, False])
def test_against_autograd(name: str, hardest: int | None, compiled: bool, monkeypatch: Any) -> None:
    torch.manual_seed(0)
    queries, candidates = torch.randn(B, D), torch.randn(U, D)
    if name == "gbce":
        loss: losses.Loss = partial(losses.gbce, column=COLUMN, weights=WEIGHTS, power=0.4)
    else:
        logs, own = WEIGHTS.log() - CORRECTIONS, -CORRECTIONS[COLUMN]
        loss = partial(losses.softmax, column=COLUMN, logs=logs, own=own, hardest=hardest)
        if not compiled:
            loss = partial(losses.softmax_in_torch, column=COLUMN, logs=logs, own=own, top=hardest or U)
    results = []
    for fast in (True, False):
        q, c = queries.clone().requires_grad_(), candidates.clone().requires_grad_()
        value = losses.ranking_loss(q, c, loss) if fast else slow(q, c, name, hardest)
        (3 * value).backward()
        assert q.grad is not None and c.grad is not None
        results.append((value.detach(), q.grad, c.grad))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
