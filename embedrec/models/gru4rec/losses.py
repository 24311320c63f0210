"""Losses of a query with one target and sampled negatives, each with its gradient.

Hidasi et al. 2016 (BPR over the batch); Hidasi & Karatzoglou 2018 (BPR-max, and cross-entropy of sampled items).

A candidate that is drawn several times is scored once and weighted by its count. Arguments of all losses:

scores   (b, u) float32 of b queries and u distinct items; overwritten
column   (b,) column of each query's target
weights  (u,) number of times that an item is a target or was drawn; 0 if it is no candidate

They return the losses (b,) and their derivatives with respect to the scores (b, u). A query's own target is not one of
its negatives, unless it is drawn or the target of another query too.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

Losses = tuple[Tensor, Tensor]
Loss = Callable[[Tensor, Tensor], Losses]  # of scores and column
_TINY = 1e-24


def cross_entropy(scores: Tensor, column: Tensor, logs: Tensor, own: Tensor) -> Losses:
    """−ln softmax of the target among all candidates, weighted by their counts.

    logs  (u,) log weight of an item among all candidates, −inf for none
    own   (b,) log weight of the target itself
    """
    if scores.device.type != "cpu":
        return cross_entropy_in_torch(scores, column, logs, own)
    from embedrec.kernels.sampled_losses import cross_entropy as compiled

    losses = torch.empty(len(column))
    compiled(scores.numpy(), column.numpy(), logs.numpy(), own.numpy(), losses.numpy())
    return losses, scores


def cross_entropy_in_torch(scores: Tensor, column: Tensor, logs: Tensor, own: Tensor) -> Losses:
    """`cross_entropy` on any device."""
    at = torch.arange(len(column), device=column.device), column
    right = scores[at] + own
    total = torch.logsumexp(scores.add_(logs), 1)
    gradient = scores.sub_(total[:, None]).exp_()
    gradient[at] -= 1
    return total - right, gradient


def bpr(scores: Tensor, column: Tensor, weights: Tensor) -> Losses:
    """The mean over all negatives of −ln σ(target score − negative score)."""
    at = torch.arange(len(column), device=column.device), column
    margin = torch.sub(scores[at][:, None], scores)  # (b, u)
    negatives = (weights.sum() - 1).clamp(min=1)
    share = weights / negatives
    losses = functional.logsigmoid(margin) @ -share - _LN2 / negatives
    gradient = torch.sigmoid(margin.neg_()).mul_(share)
    gradient[at] -= 0.5 / negatives
    gradient[at] -= gradient.sum(1)
    return losses, gradient


def bpr_max(scores: Tensor, column: Tensor, weights: Tensor, elu: float, bpreg: float) -> Losses:
    """−ln(Σ_j s_j σ(r_i − r_j) + 1e-24) + bpreg · Σ_j s_j r_j², s the softmax over the negatives.

    elu  r is elu(score, elu); the score for 0
    """
    if scores.device.type != "cpu":
        return bpr_max_in_torch(scores, column, weights, elu, bpreg)
    from embedrec.kernels.sampled_losses import bpr_max as compiled

    losses = torch.empty(len(column))
    compiled(scores.numpy(), column.numpy(), weights.numpy(), elu, bpreg, losses.numpy())
    return losses, scores


def bpr_max_in_torch(scores: Tensor, column: Tensor, weights: Tensor, elu: float, bpreg: float) -> Losses:
    """`bpr_max` on any device."""
    rows = torch.arange(len(column), device=column.device)
    at = rows, column
    r = functional.elu_(scores, elu) if elu else scores
    right = r[at]
    others = weights[column] - 1  # (b,) number of times that the target is a negative too
    r[at] = torch.where(others > 0, right, -torch.inf)
    top = r.amax(1).nan_to_num_(neginf=0.0)
    r[at] = right
    share = torch.sub(r, top[:, None]).exp_().mul_(weights)  # (b, u)
    share[at] = torch.where(others > 0, torch.exp(right - top) * others, 0.0)
    total = share.sum(1)
    share.mul_((1 / total.clamp(min=_LEAST))[:, None])
    win = torch.sub(right[:, None], r).sigmoid_()
    won = win * share
    mean = won.sum(1)  # A
    won.mul_(win)
    squared = won.sum(1)  # Σ s σ²
    slope = torch.where(r > 0, 1.0, r + elu) if elu else None
    lengths = r * share
    weight = (lengths * r).sum(1)  # R
    inverse = 1 / (mean + _TINY)
    gradient = lengths.mul_(r.add_(2)).mul_(bpreg)
    gradient.addcmul_(share, (mean * inverse - bpreg * weight)[:, None])
    gradient.addcmul_(won, -inverse[:, None])
    gradient[at] -= (mean - squared) * inverse
    if slope is not None:
        gradient.mul_(slope)
    losses = torch.where(total > 0, -torch.log(mean + _TINY) + bpreg * weight, 0.0)
    return losses, gradient


_LN2 = 0.6931471805599453
_LEAST = 1e-37
