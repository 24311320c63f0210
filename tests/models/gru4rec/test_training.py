"""Training of GRU4Rec: steps by hand, batches, resumed trainings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from embedrec.data import Vocab
from embedrec.errors import DataError
from embedrec.models.gru4rec.recipe import GRU4Rec
from embedrec.training.context import TrainingContext
from tests.conftest import of_lists, read_only, tiny_sessions
from tests.models.gru4rec.toy_learner import DRY, SMALL, create_learner, network_of
from tests.training.toy import clustered_sessions


@pytest.mark.parametrize("loss", ["bpr-max", "bpr", "cross-entropy"])
def test_a_step_on_three_items_by_hand(loss: Any) -> None:
    """Loss, gradients, and the weights after the first two steps of training, against plain formulas in float64."""
    sessions = of_lists(["ab", "bc", "ac", "ba"]).drop_unused_items()  # rows a 0, b 1, c 2; counts 3, 3, 2
    recipe: Any = {"layers": "4", "batch": 2, "n_sample": 5, "loss": loss, "logq": 0.8, "elu": 0.5, **DRY}
    learner = create_learner(sessions, **recipe)
    network = network_of(learner)
    with torch.no_grad():
        network.item_table[:, -1] = torch.tensor([0.3, -0.2, 0.1])
        network.item_table[:, :-1] *= 2
    slow = {name: p.detach().double().requires_grad_() for name, p in network.named_parameters()}
    counts = np.array([3, 3, 2])
    total = {name: torch.zeros_like(p) for name, p in slow.items()}
    velocity = {name: torch.zeros_like(p) for name, p in slow.items()}
    (optimizer,) = learner.optimizers()
    steps = 0
    with torch.sparse.check_sparse_tensor_invariants(False):  # type: ignore[no-untyped-call]
        for batch in learner.batches(1):
            inputs, targets, drawn = batch.each[2].tolist(), batch.shared[0].tolist(), batch.shared[1].tolist()
            assert batch.each[1].all() and len(drawn) == 5
            for p in network.parameters():
                p.grad = None
            fast = network(batch) / 2
            fast.backward()
            want = slow_loss(slow, learner.recipe, inputs, targets, drawn, counts)
            assert float(fast.detach()) == pytest.approx(float(want.detach()), rel=1e-5)
            gradients = torch.autograd.grad(want, list(slow.values()), allow_unused=True)
            named = sorted({*inputs, *targets, *drawn})
            for (name, p), result in zip(slow.items(), gradients, strict=True):
                parameter = network.get_parameter(name)
                g = torch.zeros_like(p) if result is None else result
                there = torch.zeros_like(p) if parameter.grad is None else parameter.grad.to_dense()
                np.testing.assert_allclose(there.numpy(), g.numpy(), rtol=1e-3, atol=1e-6)
                with torch.no_grad():
                    total[name] += g**2
                    rows = named if name == "item_table" else slice(None)
                    step = 0.15 * velocity[name] - 0.05 * g / torch.sqrt(total[name] + 1e-6)
                    velocity[name][rows] = step[rows]
                    p[rows] += step[rows]
            optimizer.step()
            steps += 1
            for name, p in slow.items():
                np.testing.assert_allclose(network.get_parameter(name).detach(), p.detach(), rtol=1e-3, atol=2e-5)
    assert steps == 2


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adam", "input": "embedding"}, {"patience": 2}])
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path, settings: Any) -> None:
    recipe, sessions = GRU4Rec(**{**SMALL, **settings}), clustered_sessions(40)

    def stopping(event: str, **numbers: Any) -> None:
        if event == "epoch":
            raise StoppedError

    with pytest.raises(StoppedError):
        recipe.fit(sessions, seed=3, report=stopping, context=TrainingContext(checkpoint=tmp_path / "c"))
    whole = recipe.fit(sessions, seed=3)
    again = recipe.fit(sessions, seed=3, context=TrainingContext(checkpoint=tmp_path / "c", resume=True))
    for name, array in whole.arrays.items():
        assert array.tobytes() == again.arrays[name].tobytes(), name


def test_batches_repeat_and_negatives_are_drawn_in_proportion() -> None:
    sessions = of_lists(["aaaabb", "cab"], Vocab(list("abcd"))).reindex(Vocab(list("abcd")))
    learner, again = (create_learner(sessions, sample_alpha=2.0, n_sample=4000) for _ in range(2))
    one, same, other = (list(x.batches(epoch)) for x, epoch in ((learner, 1), (again, 1), (learner, 2)))
    for a, b, c in zip(one, same, other, strict=True):
        assert all(torch.equal(x, y) for x, y in zip((*a.each, *a.shared), (*b.each, *b.shared), strict=True))
        assert torch.equal(a.each[2], c.each[2]) and not torch.equal(a.shared[1], c.shared[1])
    drawn = torch.cat([batch.shared[1] for batch in one]).bincount(minlength=4).double()
    assert (drawn / drawn.sum()).tolist() == pytest.approx([25 / 35, 9 / 35, 1 / 35, 0], abs=0.02)
    assert next(iter(create_learner(sessions, n_sample=0).batches(1))).shared[1].tolist() == []


def test_read_only_sessions_and_large_batches_are_accepted() -> None:
    sessions = tiny_sessions()
    frozen = replace(sessions, times=read_only(np.arange(len(sessions.items))[::-1]))
    model = GRU4Rec(**{**SMALL, "batch": 500}).fit(frozen, seed=0)
    assert len(model.vocab) == 6


def test_sessions_without_steps_are_refused() -> None:
    with pytest.raises(DataError, match=r"no session has two events to learn from \(2 sessions, 2 events\)"):
        GRU4Rec(**SMALL).fit(of_lists(["a", "b"]))


def slow_loss(parts: dict[str, Tensor], recipe: GRU4Rec, inputs: list[int], targets: list[int], drawn: list[int],
              counts: np.ndarray) -> Tensor:  # fmt: skip
    """The mean loss of sessions that begin, from the formulas, every candidate by itself."""
    items, bias = parts["item_table"][:, :-1], parts["item_table"][:, -1]
    h = items.shape[1]
    gates = items[inputs] @ parts["cells.0.input"] + parts["cells.0.input_bias"]
    kept = parts["cells.0.hidden_bias"]  # of a state of zeros
    reset, update = torch.sigmoid(gates[:, :h] + kept[:h]), torch.sigmoid(gates[:, h : 2 * h] + kept[h : 2 * h])
    state = (1 - update) * torch.tanh(gates[:, 2 * h :] + reset * kept[2 * h :])
    losses = []
    for number, target in enumerate(targets):
        others = [t for place, t in enumerate(targets) if place != number] + drawn
        scores = items @ state[number] + bias
        if recipe.loss == "cross-entropy":
            shares = torch.from_numpy(counts / counts.sum())
            logits = scores - recipe.logq * torch.log(shares)
            up = torch.cat([logits[targets], (scores - recipe.logq * recipe.sample_alpha * torch.log(shares))[drawn]])
            losses.append(torch.logsumexp(up, 0) - logits[target])
        elif recipe.loss == "bpr":
            losses.append(-torch.log(torch.sigmoid(scores[target] - scores[others])).mean())
        else:
            r = torch.nn.functional.elu(scores, recipe.elu)
            share = torch.softmax(r[others], 0)
            won = (share * torch.sigmoid(r[target] - r[others])).sum()
            losses.append(-torch.log(won) + recipe.bpreg * (share * r[others] ** 2).sum())
    return torch.stack(losses).mean()
