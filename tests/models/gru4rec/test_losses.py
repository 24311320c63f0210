"""Losses by hand on three items, their gradients against autograd, compiled ones against those in torch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import exp, log

import numpy as np
import pytest
import torch
from torch import Tensor

from embedrec.models.gru4rec.losses import bpr, bpr_max, bpr_max_in_torch, cross_entropy, cross_entropy_in_torch

SCORES = [[1.0, 0.5, -1.0], [0.2, -0.3, 2.0]]
COLUMN = torch.tensor([0, 2])  # items 0 and 2 are the targets; 1 was drawn once, 2 twice
WEIGHTS = torch.tensor([1.0, 1.0, 3.0])
NEGATIVES = [[1, 2, 2, 2], [0, 1, 2, 2]]  # of each query: the other target, and what was drawn


def sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x))


def scores() -> Tensor:
    return torch.tensor(SCORES)


def test_cross_entropy_by_hand() -> None:
    shares, alpha, logq = [0.5, 0.3, 0.2], 0.5, 0.7  # P0 of the items
    targets, drawn = [0, 2], [1, 2, 2]
    want = []
    for query, target in enumerate(targets):
        up = [SCORES[query][i] - logq * log(shares[i]) for i in targets]
        up += [SCORES[query][i] - logq * log(shares[i] ** alpha) for i in drawn]
        own = SCORES[query][target] - logq * log(shares[target])
        want.append(-log(exp(own) / sum(map(exp, up))))
    counts = [shares[0] ** -logq, shares[1] ** (-logq * alpha), shares[2] ** -logq + 2 * shares[2] ** (-logq * alpha)]
    own_logs = torch.tensor([-logq * log(shares[i]) for i in targets])
    result, _ = cross_entropy(scores(), COLUMN, torch.tensor(counts).log(), own_logs)
    np.testing.assert_allclose(result.numpy(), want, rtol=1e-5)


def test_bpr_by_hand() -> None:
    want = [
        sum(-log(sigmoid(SCORES[q][t] - SCORES[q][j])) for j in NEGATIVES[q]) / 4 for q, t in enumerate(COLUMN.tolist())
    ]
    np.testing.assert_allclose(bpr(scores(), COLUMN, WEIGHTS)[0].numpy(), want, rtol=1e-5)


@pytest.mark.parametrize(("elu", "bpreg"), [(0.0, 0.0), (1.0, 0.9), (0.5, 2.0)])
def test_bpr_max_by_hand(elu: float, bpreg: float) -> None:
    want = []
    for q, t in enumerate(COLUMN.tolist()):
        r = [x if x > 0 or not elu else elu * (exp(x) - 1) for x in SCORES[q]]
        total = sum(exp(r[j]) for j in NEGATIVES[q])
        share = [exp(r[j]) / total for j in NEGATIVES[q]]
        won = sum(s * sigmoid(r[t] - r[j]) for s, j in zip(share, NEGATIVES[q], strict=True))
        large = sum(s * r[j] ** 2 for s, j in zip(share, NEGATIVES[q], strict=True))
        want.append(-log(won + 1e-24) + bpreg * large)
    for loss in (bpr_max, bpr_max_in_torch):
        np.testing.assert_allclose(loss(scores(), COLUMN, WEIGHTS, elu, bpreg)[0].numpy(), want, rtol=1e-5)


# ------------------------------------------------------------------------- against every candidate one by one


def slow_cross_entropy(x: Tensor, target: int, negatives: list[int], logs: Tensor, own: Tensor) -> Tensor:
    return torch.logsumexp(x + logs, 0) - x[target] - own


def slow_bpr(x: Tensor, target: int, negatives: list[int]) -> Tensor:
    return -torch.nn.functional.logsigmoid(x[target] - x[negatives]).mean()


def slow_bpr_max(x: Tensor, target: int, negatives: list[int], elu: float, bpreg: float) -> Tensor:
    r = torch.nn.functional.elu(x, elu) if elu else x
    share = torch.softmax(r[negatives], 0)
    won = (share * torch.sigmoid(r[target] - r[negatives])).sum()
    return -torch.log(won + 1e-24) + bpreg * (share * r[negatives] ** 2).sum()


def problem(seed: int = 0, b: int = 6, u: int = 40, scale: float = 3.0) -> tuple[Tensor, Tensor, Tensor]:
    """Scores (b, u) float64, targets, and how often each item is a candidate; some items are none."""
    random = torch.Generator().manual_seed(seed)
    result = torch.randn(b, u, generator=random, dtype=torch.float64) * scale
    column = torch.randint(u, (b,), generator=random)
    column[1] = column[0]  # two queries with one target
    drawn = torch.randint(u // 2, (u,), generator=random)
    weights = torch.bincount(column, minlength=u) + torch.bincount(drawn, minlength=u)
    return result, column, weights.float()


FAST: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    "bpr": bpr,
    **{f"bpr-max {e} {g}": partial(bpr_max, elu=e, bpreg=g) for e, g in ((0.0, 0.0), (1.0, 0.9), (0.5, 2.0))},
    **{f"torch {e} {g}": partial(bpr_max_in_torch, elu=e, bpreg=g) for e, g in ((0.0, 0.0), (1.0, 0.9), (0.5, 2.0))},
}


@pytest.mark.parametrize("name", list(FAST))
def test_gradients_against_autograd(name: str) -> None:
    x, column, weights = problem()
    result, gradient = FAST[name](x.float(), column, weights)
    words = name.split()
    y = x.clone().requires_grad_()
    losses = []
    for query, target in enumerate(column.tolist()):
        negatives = [j for j, w in enumerate(weights.tolist()) for _ in range(int(w) - (j == target))]
        if name == "bpr":
            losses.append(slow_bpr(y[query], target, negatives))
        else:
            losses.append(slow_bpr_max(y[query], target, negatives, float(words[1]), float(words[2])))
    torch.stack(losses).sum().backward()
    np.testing.assert_allclose(result.numpy(), [float(loss.detach()) for loss in losses], rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(gradient.numpy(), y.grad.numpy(), rtol=1e-4, atol=2e-6)  # type: ignore[union-attr]


@pytest.mark.parametrize("loss", [cross_entropy, cross_entropy_in_torch])
def test_gradients_of_cross_entropy(loss: Callable[..., tuple[Tensor, Tensor]]) -> None:
    x, column, weights = problem()
    logs = (weights.double() * torch.linspace(1, 3, len(weights), dtype=torch.float64)).log()
    own = torch.linspace(-1, 1, len(column), dtype=torch.float64)
    result, gradient = loss(x.float(), column, logs.float(), own.float())
    y = x.clone().requires_grad_()
    slow = [slow_cross_entropy(y[q], t, [], logs, own[q]) for q, t in enumerate(column.tolist())]
    torch.stack(slow).sum().backward()
    np.testing.assert_allclose(result.numpy(), [float(one.detach()) for one in slow], rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(gradient.numpy(), y.grad.numpy(), rtol=1e-4, atol=2e-6)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "loss", [bpr, partial(bpr_max, elu=1.0, bpreg=0.9), partial(bpr_max_in_torch, elu=1.0, bpreg=0.9)]
)
def test_no_negatives_cost_nothing(loss: Callable[..., tuple[Tensor, Tensor]]) -> None:
    result, gradient = loss(torch.tensor([[0.3, 2.0]]), torch.tensor([0]), torch.tensor([1.0, 0.0]))
    assert result.tolist() == [0] and not gradient.any()


@pytest.mark.parametrize("loss", [bpr_max, bpr_max_in_torch])
def test_scores_far_apart_stay_finite(loss: Callable[..., tuple[Tensor, Tensor]]) -> None:
    x = torch.tensor([[300.0, -300.0, 0.0], [-300.0, 300.0, 0.0]])
    result, gradient = loss(x, torch.tensor([0, 0]), torch.tensor([1.0, 1.0, 1.0]), 0.0, 0.0)
    assert torch.isfinite(result).all() and torch.isfinite(gradient).all()
    assert float(result[0]) == pytest.approx(0, abs=1e-6) and float(result[1]) > 50
