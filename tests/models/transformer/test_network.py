"""The network in training: the loss of a batch against one forward pass an example, and attention by a slow loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from embedrec.models.transformer.network import Distances, Runs, causal_attention, expected_draws, padded_attention
from embedrec.models.transformer.recipe import SASRec
from tests.models.transformer.toy_learner import network_of, random_learner
from tests.training.toy import clustered_sessions


def slow_attention(q: Tensor, k: Tensor, v: Tensor, logits: Tensor, lengths: list[int]) -> Tensor:
    heads, first, rows = len(logits), 0, []
    width = q.shape[1] // heads
    for length in lengths:
        for query in range(first, first + length):
            keys = torch.arange(first, query + 1)
            for head in range(heads):
                part = slice(head * width, (head + 1) * width)
                scores = k[keys, part] @ q[query, part] / width**0.5 + logits[head, query - keys]
                rows.append(torch.softmax(scores, 0) @ v[keys, part])
        first += length
    return torch.cat(rows).view(first, -1)


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("lengths", [[1], [2, 2, 2], [1, 2, 3, 4, 5, 9]])
@pytest.mark.parametrize("kind", ["joined", "separate", "padded"])
def test_attention_by_a_slow_loop(heads: int, lengths: list[int], kind: str) -> None:
    """Results and gradients of the compiled and of the padded form."""
    torch.manual_seed(0)
    given, above = torch.randn(sum(lengths), 12), torch.randn(sum(lengths), 4)
    distances, runs = Distances(heads, SASRec(history=9)), Runs(torch.tensor(lengths))
    distances.logits.data += torch.randn(heads, 9)
    results = []
    for slow in (False, True):
        joint = given.clone().requires_grad_()
        distances.logits.grad = None
        q, k, v = torch.split(joint, 4, 1)
        if slow:
            found = slow_attention(q, k, v, distances.logits, lengths)
        elif kind == "padded":
            found = padded_attention(q, k, v, distances, runs)
        elif kind == "joined":
            found = causal_attention(joint, None, distances, runs)
        else:
            found = causal_attention(joint[:, :8], v, distances, runs)
        (found * above).sum().backward()
        results.append((found.detach(), joint.grad, distances.logits.grad))
    for fast, expected in zip(*results, strict=True):
        torch.testing.assert_close(fast, expected, rtol=1e-4, atol=1e-5)


def test_expected_draws_of_what_never_occurs() -> None:
    assert expected_draws(SASRec(negatives=12), np.array([4, 0, 1])).tolist() == [8, 1, 4]


@pytest.mark.parametrize(
    "settings", [{}, {"query": "last", "scoring": "dot", "temperature": 1.0}, {"users": True, "history": 3}]
)
def test_the_loss_is_that_of_one_pass_an_example(settings: Any) -> None:
    sessions = clustered_sessions(20)
    learner = random_learner(sessions, **settings)
    network, recipe, batch = network_of(learner), learner.recipe, next(learner.batches(1))
    (pool,) = batch.shared
    corrections = torch.from_numpy(np.log(expected_draws(recipe, learner.counts)))
    expected, vectors = 0.0, network.item_vectors(torch.arange(len(sessions.vocab)))
    scale = torch.nn.functional.normalize if recipe.scoring == "cosine" else lambda x, dim: x
    for start, length, first in zip(*(tensor.tolist() for tensor in batch.each), strict=True):
        for place in range(first, length):
            rows = network.items[start : start + place + 1]
            query = network.queries(vectors[rows], torch.tensor([len(rows)]))[-1:]
            if learner.user_ids is not None:
                query = query + network.user_vectors(network.user_of[start : start + 1])
            target = int(network.items[start + place + 1])
            logits = ((scale(query, dim=1) @ scale(vectors, dim=1).T)[0] / recipe.temperature).double() - corrections
            rivals = torch.cat([logits[pool[pool != target]], logits[target : target + 1]])
            expected += float((torch.logsumexp(rivals, 0) - logits[target]).detach())
    assert float(network(batch).detach()) == pytest.approx(expected, rel=1e-4)
    parts = [float(network(batch.part(number, 3)).detach()) for number in range(3)]
    assert sum(parts) == pytest.approx(expected, rel=1e-4)
