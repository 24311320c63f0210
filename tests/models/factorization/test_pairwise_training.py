"""Training on pairs of sessions and items: batches and losses against NumPy and slow loops."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from embedrec.data import Sessions
from embedrec.errors import EmbedrecError
from embedrec.models.factorization.mf import MatrixFactorisation
from embedrec.models.factorization.neural_cf import NeuralCF
from embedrec.models.factorization.pairwise_training import BPRLoss, Dot, PairLearner, Perceptron, SquaredErrorLoss
from embedrec.training.context import TrainingContext
from embedrec.training.devices import seed_torch
from embedrec.training.loop import Batch
from tests.conftest import of_lists, tiny_sessions
from tests.models.planted_groups import clusters

SMALL: dict[str, Any] = {"dim": 8, "batch": 64, "min_count": 1}
LISTS = ["abca", "bc", "", "dd", "ea"]


def learner(same: bool, batch: int = 3, seed: int = 0) -> PairLearner:
    sessions = of_lists(LISTS)
    settings = NeuralCF(batch=batch, negatives=2)
    module = SquaredErrorLoss(Dot(len(sessions), len(sessions.vocab), 4))
    return PairLearner(settings, sessions, module, lambda: None, same=same, seed=seed)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("same", [True, False])
def test_batches(same: bool) -> None:
    """Every pair occurs once an epoch; the mask of random pairs tells which are observed."""
    pairs = {(s, "abcde".index(i)) for s, items in enumerate(LISTS) for i in items}
    drawn = learner(same)
    assert drawn.examples == len(pairs) == 8
    met, marked = [], 0
    for batch in drawn.batches(1):
        session, item, others, random_items, known = batch.each
        assert len(batch) <= 3 and others.shape == random_items.shape == known.shape == (len(batch), 2)
        met += list(zip(session.tolist(), item.tolist(), strict=True))
        if same:
            assert (others == session[:, None]).all()
        for other, random_item, is_known in zip(others.flatten(), random_items.flatten(), known.flatten(), strict=True):
            assert bool(is_known) == ((int(other), int(random_item)) in pairs)
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
    others, random_items = torch.tensor([[0, 1], [1, 1]]), torch.tensor([[2, 1], [0, 2]])
    return Batch((torch.tensor([0, 1]), torch.tensor([0, 1]), others, random_items, others == random_items))


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
    assert float(SquaredErrorLoss(scorer)(example()).detach()) == pytest.approx(rated, rel=1e-5)
    wrong = [(0, 0, 2), (1, 1, 0), (1, 1, 2)]
    ordered = sum(-math.log(sigmoid(score(s, i) - score(s, j))) for s, i, j in wrong) / 2
    same = Batch((*example().each[:2], torch.tensor([[0, 0], [1, 1]]), *example().each[3:]))
    assert float(BPRLoss(scorer)(same).detach()) == pytest.approx(ordered, rel=1e-5)


def test_a_perceptron_by_hand() -> None:
    scorer = Perceptron(2, 3, 4, [5, 2])
    x, y = (t.weight.detach().double().numpy() for t in (scorer.sessions, scorer.items))
    hidden = np.concatenate([x[1], y[2]])
    for layer in scorer.layers:
        assert isinstance(layer, torch.nn.Linear)
        hidden = np.maximum(layer.weight.detach().double().numpy() @ hidden + layer.bias.detach().double().numpy(), 0)
    expected = scorer.last.weight.detach().double().numpy() @ hidden + scorer.last.bias.detach().double().numpy()
    assert scorer.score(torch.tensor([1]), torch.tensor([2])).tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def first_learner(recipe: MatrixFactorisation, sessions: Sessions, seed: int) -> tuple[PairLearner, Dot]:
    """The learner and its scorer with initial weights."""
    with seed_torch("cpu", seed, 0):
        learner = recipe.learner(sessions, seed=seed, device="cpu")
    assert isinstance(learner, PairLearner) and isinstance(learner.module, BPRLoss | SquaredErrorLoss)
    assert isinstance(learner.module.scorer, Dot)
    return learner, learner.module.scorer


def numbers_of(scorer: Dot) -> list[np.ndarray]:
    """Vectors of sessions and items, then their biases, in double precision."""
    tables = (scorer.sessions, scorer.items, scorer.session_bias, scorer.item_bias)
    return [table.weight.detach().double().numpy().copy() for table in tables]


def slow_bpr(learner: PairLearner, scorer: Dot, recipe: MatrixFactorisation) -> np.ndarray:
    """The item vectors after training, pair by pair."""
    x, y, _, bias = numbers_of(scorer)
    sums = [np.zeros_like(table) for table in (x, y, bias)]
    rate, decay = recipe.learning_rate, recipe.weight_decay
    assert recipe.epochs is not None and rate is not None and decay is not None
    for epoch in range(1, recipe.epochs + 1):
        for batch in learner.batches(epoch):
            session, item, _, random_items, known = (tensor.numpy() for tensor in batch.each)
            slopes = [np.zeros_like(table) for table in (x, y, bias)]
            for s, i, others, skipped in zip(session, item, random_items, known, strict=True):
                slopes[0][s] += decay * x[s]
                slopes[1][i] += decay * y[i]
                for j, skip in zip(others, skipped, strict=True):
                    slopes[1][j] += decay * y[j]
                    if skip:
                        continue
                    gap = x[s] @ (y[i] - y[j]) + bias[i, 0] - bias[j, 0]
                    pull = -1 / (1 + np.exp(gap)) / len(others)
                    slopes[0][s] += pull * (y[i] - y[j])
                    slopes[1][i] += pull * x[s]
                    slopes[1][j] -= pull * x[s]
                    slopes[2][i] += pull
                    slopes[2][j] -= pull
            for table, total, slope in zip((x, y, bias), sums, slopes, strict=True):
                mean = slope / len(session)
                np.add(total, mean**2, out=total)
                np.subtract(table, rate * mean / np.sqrt(np.where(mean != 0, total, 1)), out=table)
    return y


def test_bpr_equals_a_slow_loop() -> None:
    """Adagrad on the rows of a batch, weight decay, and several negatives of which some are observed."""
    recipe = MatrixFactorisation(
        **SMALL, loss="bpr", epochs=3, negatives=2, learning_rate=0.05, weight_decay=0.1, schedule="constant",
        ns_exponent=0.5,
    )  # fmt: skip
    model = recipe.fit(tiny_sessions(), seed=4)
    expected = slow_bpr(*first_learner(recipe, tiny_sessions(), 4), recipe)
    np.testing.assert_allclose(model.arrays["items"], expected, rtol=1e-3, atol=1e-4)


def test_a_step_of_bpr_changes_only_rows_of_the_batch() -> None:
    learner, scorer = first_learner(MatrixFactorisation(**SMALL, loss="bpr", negatives=1), clusters(count=40), 0)
    (optimizer,) = learner.optimizers()
    before = numbers_of(scorer)
    batch = next(learner.batches(1)).part(0, 16)  # four examples
    learner.module(batch).backward()
    optimizer.step()
    session, item, _, random_items, _ = (tensor.numpy() for tensor in batch.each)
    named = {0: set(session), 1: {*item, *random_items.ravel()}, 2: set(), 3: {*item, *random_items.ravel()}}
    for number, (old, new) in enumerate(zip(before, numbers_of(scorer), strict=True)):
        changed = np.flatnonzero((old != new).any(axis=1))
        assert set(changed.tolist()) <= named[number] and (len(changed) > 0 or number == 2)


def test_weight_decay_by_hand() -> None:
    scorer = Dot(2, 3, 4, deviation=1.0)
    each = (torch.tensor([0, 1]), torch.tensor([0, 1]), torch.tensor([[0, 0], [1, 1]]), torch.tensor([[2, 1], [0, 2]]))
    batch = Batch((*each, torch.zeros(2, 2, dtype=torch.bool)))
    x, y, *_ = numbers_of(scorer)
    squares = (x[[0, 1]] ** 2).sum() + (y[[0, 1, 2, 1, 0, 2]] ** 2).sum()
    with_decay, without = (float(BPRLoss(scorer, decay)(batch).detach()) for decay in (0.3, 0.0))
    assert with_decay - without == pytest.approx(0.15 * squares, rel=1e-4)


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 1.0])
def test_random_items_follow_the_noise_distribution(exponent: float) -> None:
    sessions = of_lists(["a" * 8 + "b" * 4 + "cd"] * 400)
    recipe = MatrixFactorisation(**SMALL, loss="logistic", negatives=9, ns_exponent=exponent)
    drawn = np.concatenate([b.each[3].numpy().ravel() for b in first_learner(recipe, sessions, 0)[0].batches(1)])
    weights = np.array([8, 4, 1, 1], dtype=float) ** exponent
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / len(drawn), weights / weights.sum(), atol=0.02)


@pytest.mark.parametrize("loss", ["bpr", "logistic"])
def test_a_resumed_training_equals_an_uninterrupted_one(loss: Any, tmp_path: Path) -> None:
    class StopHereError(EmbedrecError):
        pass

    def stop(event: str, **numbers: Any) -> None:
        if event == "epoch" and numbers["epoch"] == 2:
            raise StopHereError

    recipe = MatrixFactorisation(**SMALL, loss=loss, epochs=4)
    with pytest.raises(StopHereError):
        recipe.fit(clusters(count=60), seed=3, report=stop, context=TrainingContext(checkpoint=tmp_path / "c"))
    again = recipe.fit(clusters(count=60), seed=3, context=TrainingContext(checkpoint=tmp_path / "c", resume=True))
    whole = recipe.fit(clusters(count=60), seed=3)
    assert again.arrays["items"].tobytes() == whole.arrays["items"].tobytes()
