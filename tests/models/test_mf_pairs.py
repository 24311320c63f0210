"""Matrix factorisation by pairs, logistic and BPR: against a slow twin, what it finds, and how it trains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from embedrec.config import settings_of
from embedrec.data import Sessions
from embedrec.errors import DataError, EmbedrecError, SettingsError
from embedrec.evaluation.evaluate import EvaluationSettings, evaluate
from embedrec.models.baselines.popular import Popular
from embedrec.models.factorization.mf import MatrixFactorisation
from embedrec.models.factorization.pairwise_training import Dot, Ordered, PairLearner, Rated
from embedrec.models.torch_recipe import device_of, fit_recipe
from embedrec.progress import quiet
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.test_cases import next_items
from embedrec.training.context import TrainingContext
from embedrec.training.devices import seeded
from embedrec.training.loop import Batch
from tests.conftest import of_lists, tiny_sessions
from tests.models.word2vec.test_recipe import clusters, purity

SMALL: dict[str, Any] = {"dim": 8, "batch": 64, "min_count": 1}


def learned(recipe: MatrixFactorisation, sessions: Sessions, seed: int) -> tuple[PairLearner, Dot]:
    """What is trained, with its first weights."""
    with seeded("cpu", seed, 0):
        learner = recipe.learner(sessions, seed=seed, device="cpu")
    assert isinstance(learner, PairLearner) and isinstance(learner.module, Ordered | Rated)
    assert isinstance(learner.module.scorer, Dot)
    return learner, learner.module.scorer


def numbers_of(scorer: Dot) -> list[np.ndarray]:
    """Vectors and biases of sessions, of items, in double precision."""
    tables = (scorer.sessions, scorer.items, scorer.session_bias, scorer.item_bias)
    return [table.weight.detach().double().numpy().copy() for table in tables]


def slow_bpr(learner: PairLearner, scorer: Dot, recipe: MatrixFactorisation) -> np.ndarray:
    """The items' vectors, pair by pair and number by number."""
    x, y, _, bias = numbers_of(scorer)
    sums = [np.zeros_like(table) for table in (x, y, bias)]
    rate, decay = recipe.learning_rate, recipe.weight_decay
    assert recipe.epochs is not None and rate is not None and decay is not None
    for epoch in range(1, recipe.epochs + 1):
        for batch in learner.batches(epoch):
            session, item, _, strangers, known = (tensor.numpy() for tensor in batch.each)
            slopes = [np.zeros_like(table) for table in (x, y, bias)]
            for s, i, others, skipped in zip(session, item, strangers, known, strict=True):
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


def test_bpr_is_that_of_a_slow_twin() -> None:
    """Adagrad of what a batch names, the decay of an example's vectors, several negatives of which some are known."""
    recipe = MatrixFactorisation(
        **SMALL, loss="bpr", epochs=3, negatives=2, learning_rate=0.05, weight_decay=0.1, schedule="constant",
        ns_exponent=0.5,
    )  # fmt: skip
    model = recipe.fit(tiny_sessions(), seed=4)
    expected = slow_bpr(*learned(recipe, tiny_sessions(), 4), recipe)
    np.testing.assert_allclose(model.arrays["items"], expected, rtol=1e-3, atol=1e-4)


def test_a_step_of_bpr_leaves_other_rows_alone() -> None:
    learner, scorer = learned(MatrixFactorisation(**SMALL, loss="bpr", negatives=1), clusters(count=40), 0)
    (optimizer,) = learner.optimizers()
    before = numbers_of(scorer)
    batch = next(learner.batches(1)).part(0, 16)  # four examples
    learner.module(batch).backward()
    optimizer.step()
    session, item, _, strangers, _ = (tensor.numpy() for tensor in batch.each)
    named = {0: set(session), 1: {*item, *strangers.ravel()}, 2: set(), 3: {*item, *strangers.ravel()}}
    for number, (old, new) in enumerate(zip(before, numbers_of(scorer), strict=True)):
        changed = np.flatnonzero((old != new).any(axis=1))
        assert set(changed.tolist()) <= named[number] and (len(changed) > 0 or number == 2)


def test_decay_of_the_pairs_by_hand() -> None:
    scorer = Dot(2, 3, 4, deviation=1.0)
    each = (torch.tensor([0, 1]), torch.tensor([0, 1]), torch.tensor([[0, 0], [1, 1]]), torch.tensor([[2, 1], [0, 2]]))
    batch = Batch((*each, torch.zeros(2, 2, dtype=torch.bool)))
    x, y, *_ = numbers_of(scorer)
    squares = (x[[0, 1]] ** 2).sum() + (y[[0, 1, 2, 1, 0, 2]] ** 2).sum()
    with_decay, without = (float(Ordered(scorer, decay)(batch).detach()) for decay in (0.3, 0.0))
    assert with_decay - without == pytest.approx(0.15 * squares, rel=1e-4)


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 1.0])
def test_negatives_are_drawn_by_their_count(exponent: float) -> None:
    sessions = of_lists(["a" * 8 + "b" * 4 + "cd"] * 400)
    recipe = MatrixFactorisation(**SMALL, loss="logistic", negatives=9, ns_exponent=exponent)
    drawn = np.concatenate([b.each[3].numpy().ravel() for b in learned(recipe, sessions, 0)[0].batches(1)])
    weights = np.array([8, 4, 1, 1], dtype=float) ** exponent
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / len(drawn), weights / weights.sum(), atol=0.02)


@pytest.mark.parametrize(
    "change", [{"loss": "bpr"}, {"loss": "bpr", "ns_exponent": 0.5, "negatives": 1}, {"loss": "logistic"}], ids=str
)
def test_planted_groups_are_found(change: dict[str, Any]) -> None:
    rate = {"learning_rate": 0.03, "weight_decay": 0.01} if change["loss"] == "logistic" else {}
    model = MatrixFactorisation(dim=16, batch=256, **{"epochs": 15, **rate, **change}).fit(clusters(), seed=1)
    assert purity(model) > 0.9


@pytest.mark.parametrize("loss", ["bpr", "logistic"])
def test_it_beats_popularity(loss: Any) -> None:
    rate = {"learning_rate": 0.03, "weight_decay": 0.01} if loss == "logistic" else {}
    train, held = clusters(), clusters(seed=1, count=100)
    questions = next_items(HeldOut(held, np.zeros(len(held)))).reindex(train.vocab)
    recipe = MatrixFactorisation(loss=loss, dim=16, batch=256, epochs=15, **rate)
    found, popular = (
        evaluate(r.fit(train), questions, train, EvaluationSettings(at=(10,), draws=0)).metrics["recall@10"]
        for r in (recipe, Popular())
    )
    assert found > 0.5 > 3 * popular


def test_what_is_left_open_depends_on_the_loss() -> None:
    als, bpr = MatrixFactorisation(), MatrixFactorisation(loss="bpr")
    assert als.epochs is None and als.plan.epochs == 3 and als.plan.popularity == 0.5
    assert bpr.value("popularity") == 0 and MatrixFactorisation(loss="bpr", popularity=1.0).value("popularity") == 1
    for loss in ("logistic", "bpr"):
        filled = settings_of(MatrixFactorisation(loss=loss).plan)
        assert [key for key, value in filled.items() if value is None] == ["patience", "clip"]
    assert MatrixFactorisation(loss="bpr", epochs=2).plan.epochs == 2


def test_only_als_trains_in_one_go() -> None:
    als, bpr = MatrixFactorisation(), MatrixFactorisation(**SMALL, loss="bpr", epochs=1)
    given: dict[str, Any] = {"seed": 0, "threads": 1, "report": quiet}
    for run in (TrainingContext("cuda"), TrainingContext(checkpoint=Path("c"), resume=True)):
        with pytest.raises(SettingsError, match="mf with these settings trains in one go, on the CPU, in one process"):
            fit_recipe(als, tiny_sessions(), **given, run=run)
        with pytest.raises(SettingsError, match="mf with these settings trains in one go"):
            als.fit(tiny_sessions(), run=run)
    assert device_of(als, "auto") == device_of(bpr, "cpu") == "cpu"
    with pytest.raises(SettingsError, match="mf with these settings trains on the CPU only; leave --device out"):
        device_of(als, "cuda")
    assert len(fit_recipe(bpr, tiny_sessions(), **given, run=TrainingContext("cpu")).vocab) == 6


@pytest.mark.parametrize("loss", ["bpr", "logistic"])
def test_resumed_is_uninterrupted(loss: Any, tmp_path: Path) -> None:
    class StopHereError(EmbedrecError):
        pass

    def stop(event: str, **numbers: Any) -> None:
        if event == "epoch" and numbers["epoch"] == 2:
            raise StopHereError

    recipe = MatrixFactorisation(**SMALL, loss=loss, epochs=4)
    with pytest.raises(StopHereError):
        recipe.fit(clusters(count=60), seed=3, report=stop, run=TrainingContext(checkpoint=tmp_path / "c"))
    again = recipe.fit(clusters(count=60), seed=3, run=TrainingContext(checkpoint=tmp_path / "c", resume=True))
    whole = recipe.fit(clusters(count=60), seed=3)
    assert again.arrays["items"].tobytes() == whole.arrays["items"].tobytes()


@pytest.fixture(params=["bpr", "logistic"])
def recipe(request: pytest.FixtureRequest) -> Iterator[MatrixFactorisation]:
    yield MatrixFactorisation(loss=request.param, dim=3, min_count=9)


def test_nothing_to_learn_from(recipe: MatrixFactorisation) -> None:
    with pytest.raises(DataError, match="min_count=9"):
        recipe.fit(tiny_sessions())


def test_arrays_that_do_not_fit(recipe: MatrixFactorisation) -> None:
    vocab, items = tiny_sessions().vocab, np.ones((6, 3), dtype=np.float32)
    for wrong in (items[:5], items[:, :2], items.astype(np.float64)):
        with pytest.raises(DataError, match=r"6 items need float32 vectors of shape \(6, 3\)"):
            recipe.from_arrays(vocab, {"items": wrong})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"negatives": 0}, "negatives must be between 1 and 10000, but is 0"),
        ({"ns_exponent": float("nan")}, "ns_exponent must be between -100 and 100, but is nan"),
        ({"learning_rate": 0.0}, "learning_rate must be between 1e-09 and 10, but is 0.0"),
        ({"weight_decay": -1.0}, "weight_decay must be between 0 and 100, but is -1.0"),
        ({"batch": 0}, "batch must be at least 1, but is 0"),
        ({"schedule": "steep"}, "schedule must be one of constant, linear, one-cycle, but is 'steep'"),
    ],
)
def test_settings_out_of_bounds_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        MatrixFactorisation(loss="bpr", **settings)
