"""Losses of queries with one target each and shared sampled candidates; the gradient is computed with the loss."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Losses = tuple[Tensor, Tensor]  # (b,) of queries, and (b, u) the derivatives with respect to their scores
Loss = Callable[[Tensor], Losses]  # of the scores (b, u), which are overwritten


def ranking_loss(queries: Tensor, candidates: Tensor, loss: Loss) -> Tensor:
    """The sum of the losses of queries (b, d) with distinct candidates (u, d)."""
    total: Tensor = _RankingLoss.apply(queries, candidates, loss)  # type: ignore[no-untyped-call]
    return total


class _RankingLoss(torch.autograd.Function):
    """Stores the gradients of queries and candidates, so that the (b, u) scores need not be kept."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, queries: Tensor, candidates: Tensor, loss: Loss) -> Tensor:
        values, gradient = loss((queries @ candidates.T).float())
        gradient = gradient.to(queries.dtype)
        ctx.save_for_backward(gradient @ candidates, gradient.T @ queries)
        return values.sum()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *above: Tensor) -> tuple[Tensor | None, ...]:
        queries, candidates = ctx.saved_tensors  # type: ignore[attr-defined]
        return above[0] * queries, above[0] * candidates, None


def softmax(scores: Tensor, column: Tensor, logs: Tensor, own: Tensor, hardest: int | None) -> Losses:
    """−ln softmax of the target among the candidates.

    scores   (b, u) float32, overwritten
    column   (b,) the target of each query
    logs     (u,) added to the scores of negatives: log number of draws, less the correction; −inf for no candidate
    own      (b,) added to the score of the target, once, whether it is drawn or not
    hardest  number of negatives of highest score that count; None for all
    """
    top = scores.shape[1] if hardest is None else hardest
    if scores.device.type == "cpu" and scores.dtype == torch.float32:
        from embedrec.kernels.sampled_softmax import softmax as compiled

        losses = torch.empty(len(column))
        compiled(scores.numpy(), column.numpy(), logs.numpy(), own.numpy(), top, losses.numpy())
        return losses, scores
    return softmax_in_torch(scores, column, logs, own, top)


def softmax_in_torch(scores: Tensor, column: Tensor, logs: Tensor, own: Tensor, top: int) -> Losses:
    """`softmax` on any device."""
    at = torch.arange(len(column), device=column.device), column
    right = scores[at] + own
    scores.add_(logs)
    scores[at] = -torch.inf
    if top < scores.shape[1]:
        least = torch.topk(scores, top, dim=1).values[:, -1:]
        scores.masked_fill_(scores < least, -torch.inf)
    scores[at] = right
    total = torch.logsumexp(scores, 1)
    gradient = scores.sub_(total[:, None]).exp_()
    gradient[at] -= 1
    return total - right, gradient


def gbce(scores: Tensor, column: Tensor, weights: Tensor, power: float) -> Losses:
    """−power · ln σ(target score) − Σ ln(1 − σ(negative score)).

    scores   (b, u) float32, overwritten
    column   (b,) the target of each query, which is no negative of it
    weights  (u,) number of times that an item was drawn
    """
    at = torch.arange(len(column), device=column.device), column
    right = scores[at]
    losses = functional.softplus(scores) @ weights
    losses += -power * functional.logsigmoid(right) - functional.softplus(right) * weights[column]
    gradient = scores.sigmoid_().mul_(weights)
    gradient[at] = -power * torch.sigmoid(-right)
    return losses, gradient
