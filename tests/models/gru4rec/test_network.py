"""The training network of GRU4Rec against plain formulas and a loop over sessions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from embedrec.errors import DataError
from embedrec.models.gru4rec.network import dropout
from embedrec.models.gru4rec.recipe import GRU4Rec, RecurrentModel
from tests.conftest import tiny_sessions
from tests.models.gru4rec.toy_learner import DRY, SMALL, create_learner, network_of, with_features
from tests.training.toy import clustered_sessions

INPUTS = ("constrained", "embedding", "onehot", "content", "content-mlp")


@pytest.mark.parametrize("input", INPUTS)
def test_streams_against_a_loop_over_sessions(input: Any) -> None:
    """What the network puts out at every step is what it puts out for that session alone, from its beginning."""
    sessions = with_features(clustered_sessions(23), less=2)
    learner = create_learner(sessions, input=input, layers="6,4", batch=5, embedding_dim=3, **DRY)
    network = network_of(learner)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
    model = learner.model()
    assert isinstance(model, RecurrentModel)
    met: list[tuple[int, Tensor]] = []
    events = [block[block >= 0].tolist() for block in learner.streams.blocks()]
    for batch in learner.batches(1):
        streams, begins, inputs, _ = batch.each
        x = network.inputs(inputs) if input != "constrained" else network.item_table[inputs, :-1]
        result = network.advance(x, streams, begins).detach()
        met += [(int(i), query) for i, query in zip(inputs, result, strict=True)]
    order = [event for block in events for event in block]  # as steps walk them
    assert [row for row, _ in met] == sessions.items[order].tolist()
    wanted = [e for e in range(len(sessions.items)) if e + 1 not in sessions.offsets[1:]]
    assert sorted(order) == wanted and learner.examples == len(wanted)
    alone = model.encoder(sessions.take(sessions.session_of[order], sessions.position_of[order] + 1))
    np.testing.assert_allclose(torch.stack([q for _, q in met]).numpy(), alone[:, :-1], rtol=1e-4, atol=1e-6)


def test_items_without_features_have_zero_vectors() -> None:
    sessions = with_features(clustered_sessions(40), less=3)
    for input, layers, width in (("content", "4", 12), ("content", "5", 13), ("content-mlp", "4", 64)):
        network = network_of(create_learner(sessions, input=input, layers=layers))
        arrays = network.arrays()  # thirteen words and numbers: kept as they are where the gates are more
        assert arrays["inputs"].shape == (len(sessions.vocab), width)
        assert not arrays["inputs"][-3:].any() and arrays["inputs"][:-3].any(axis=1).all()
        if "input0" in arrays:
            want = network.inputs(torch.arange(len(sessions.vocab))).detach()
            result = arrays["inputs"] if input == "content-mlp" else arrays["inputs"] @ arrays["input0"]
            np.testing.assert_allclose(result, want, rtol=1e-4, atol=1e-6)
    with pytest.raises(DataError, match="these sessions have no item features, which the input needs; prepare"):
        GRU4Rec(**SMALL, input="content").fit(tiny_sessions())


def test_dropout_keeps_the_mean() -> None:
    torch.manual_seed(0)
    x = torch.ones(500, 401, requires_grad=True)
    for share in (0.3, 0.5):
        result = dropout(x, share)
        assert float((result == 0).float().mean()) == pytest.approx(share, abs=0.01)
        assert float(result.detach().mean()) == pytest.approx(1, abs=0.01) and len(result.unique()) == 2
        (gradient,) = torch.autograd.grad(result.sum(), x)
        assert torch.equal(gradient, result)
    assert dropout(x, 0.0) is x
