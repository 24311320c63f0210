"""Pairs of sessions and items: what is drawn, and what is lost, against NumPy and naive loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from embedrec.data import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models.factorization.neural_cf import NeuralCF
from embedrec.models.factorization.pairwise_training import Dot, Ordered, PairLearner, Perceptron, Rated
from embedrec.training.loop import Batch
from tests.conftest import of_lists, tiny_sessions

LISTS = ["abca", "bc", "", "dd", "ea"]


def learner(same: bool, batch: int = 3, seed: int = 0) -> PairLearner:
    sessions = of_lists(LISTS)
    settings = NeuralCF(batch=batch, negatives=2)
    module = Rated(Dot(len(sessions), len(sessions.vocab), 4))
    return PairLearner(settings, sessions, module, lambda: None, same=same, seed=seed)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("same", [True, False])
def test_batches(same: bool) -> None:
    """Every pair once an epoch; random ones say truly whether they are observed."""
    pairs = {(s, "abcde".index(i)) for s, items in enumerate(LISTS) for i in items}
    drawn = learner(same)
    assert drawn.examples == len(pairs) == 8
    met, marked = [], 0
    for batch in drawn.batches(1):
        session, item, others, strangers, known = batch.each
        assert len(batch) <= 3 and others.shape == strangers.shape == known.shape == (len(batch), 2)
        met += list(zip(session.tolist(), item.tolist(), strict=True))
        if same:
            assert (others == session[:, None]).all()
        for other, stranger, is_known in zip(others.flatten(), strangers.flatten(), known.flatten(), strict=True):
            assert bool(is_known) == ((int(other), int(stranger)) in pairs)
            marked += bool(is_known)
    assert sorted(met) == sorted(pairs) and marked
    first, again, next_epoch = (
        [t.tolist() for b in learner(same).batches(epoch) for t in b.each] for epoch in (1, 1, 2)
    )
    assert first == again != next_epoch


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def example() -> Batch:
    """Two observed pairs, two random ones each, of which one is observed too."""
    others, strangers = torch.tensor([[0, 1], [1, 1]]), torch.tensor([[2, 1], [0, 2]])
    return Batch((torch.tensor([0, 1]), torch.tensor([0, 1]), others, strangers, others == strangers))


def test_losses_by_hand() -> None:
    torch.manual_seed(0)
    scorer = Dot(2, 3, 4)
    with torch.no_grad():
        for table in (scorer.sessions, scorer.items, scorer.session_bias, scorer.item_bias):
            table.weight.normal_()
    x, y, a, b = (
        t.weight.detach().double().numpy()
        for t in (scorer.sessions, scorer.items, scorer.session_bias, scorer.item_bias)
    )

    def score(s: int, i: int) -> float:
        return float(x[s] @ y[i] + a[s, 0] + b[i, 0])

    rated = (1 - sigmoid(score(0, 0))) ** 2 + (1 - sigmoid(score(1, 1))) ** 2
    rated += sigmoid(score(0, 2)) ** 2 + sigmoid(score(1, 0)) ** 2 + sigmoid(score(1, 2)) ** 2  # (1, 1) is observed
    assert float(Rated(scorer)(example()).detach()) == pytest.approx(rated, rel=1e-5)
    wrong = [(0, 0, 2), (1, 1, 0), (1, 1, 2)]
    ordered = sum(-math.log(sigmoid(score(s, i) - score(s, j))) for s, i, j in wrong) / 2
    same = Batch((*example().each[:2], torch.tensor([[0, 0], [1, 1]]), *example().each[3:]))
    assert float(Ordered(scorer)(same).detach()) == pytest.approx(ordered, rel=1e-5)


def test_a_perceptron_by_hand() -> None:
    scorer = Perceptron(2, 3, 4, [5, 2])
    x, y = (t.weight.detach().double().numpy() for t in (scorer.sessions, scorer.items))
    hidden = np.concatenate([x[1], y[2]])
    for layer in scorer.layers:
        assert isinstance(layer, torch.nn.Linear)
        hidden = np.maximum(layer.weight.detach().double().numpy() @ hidden + layer.bias.detach().double().numpy(), 0)
    expected = scorer.last.weight.detach().double().numpy() @ hidden + scorer.last.bias.detach().double().numpy()
    assert scorer.score(torch.tensor([1]), torch.tensor([2])).tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_items_of_the_same_sessions_come_together() -> None:
    lists = ["abc", "acb", "bca", "xyz", "zyx", "yzx"] * 10
    sessions = of_lists(lists)
    told: list[dict[str, Any]] = []
    recipe = NeuralCF(dim=8, layers="8", batch=32, epochs=60, learning_rate=0.02, weight_decay=0.0)
    model = recipe.fit(sessions, seed=1, report=lambda event, **numbers: told.append({"event": event, **numbers}))
    losses = [t["loss"] for t in told if t["event"] == "epoch"]
    assert len(losses) == 60 and losses[-1] < losses[0] / 3
    near = model.embeddings.search(model.embeddings.vectors, 3).ids()
    assert [set(row) for row in near] == [set("abc") if i in "abc" else set("xyz") for i in sessions.vocab.ids]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": ""}, "a perceptron needs a layer"),
        ({"layers": "50,x"}, "layers must be whole numbers"),
        ({"dim": 0}, "dim must be between 1 and 65536, but is 0"),
        ({"negatives": 0}, "negatives must be between 1 and 10000, but is 0"),
        ({"weight_decay": float("nan")}, "weight_decay must be between 0 and 100, but is nan"),
    ],
)
def test_refused_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        NeuralCF(**settings)


def test_what_cannot_be_learned_from() -> None:
    with pytest.raises(DataError, match="min_count=9"):
        NeuralCF(min_count=9).fit(tiny_sessions())
    with pytest.raises(DataError):
        NeuralCF().fit(of_lists(["", ""], Vocab(["a"])))


def test_arrays_that_do_not_fit() -> None:
    vocab = tiny_sessions().vocab
    with pytest.raises(DataError, match=r"items of a neural-cf model must have shape \(6, 3\), but is \(6, 4\)"):
        NeuralCF(dim=3).from_arrays(vocab, {"items": np.zeros((6, 4), dtype=np.float32)})
