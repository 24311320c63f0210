"""Training of two towers: losses, histories, batches and negatives against slow loops."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from embedrec.data import Vocab
from embedrec.data.events import DAY
from embedrec.errors import DataError, SettingsError
from embedrec.models.two_tower.recipe import TwoTower
from embedrec.models.two_tower.training import (
    event_weights,
    expected_draws,
    popularity_trend,
    sampled_softmax,
)
from embedrec.training.loop import Batch
from tests.conftest import of_lists, tiny_sessions
from tests.models.two_tower.toy_learner import SMALL, create_learner, towers_of
from tests.training.toy import clustered_sessions


def test_sampled_softmax_against_cross_entropy() -> None:
    """Loss and gradients; candidate 3 is item 7 as candidate 0 is, and no rival of it."""
    weights = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    torch.manual_seed(0)
    queries, candidates = torch.randn(3, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    bias, ids, column = torch.randn(5, dtype=torch.float64), torch.tensor([7, 2, 5, 7, 1]), torch.tensor([0, 1, 3])
    results = []
    for slow in (False, True):
        q, c = queries.clone().requires_grad_(), candidates.clone().requires_grad_()
        if slow:
            loss = torch.zeros((), dtype=torch.float64)
            for row, right in enumerate(column.tolist()):
                scores = q[row] @ c.T + bias
                rivals = [j for j in range(5) if j == right or ids[j] != ids[right]]
                loss = loss + weights[row] * (torch.logsumexp(scores[rivals], 0) - scores[right])
        else:
            loss = sampled_softmax(q, c, bias, ids, column, weights)
        (3 * loss).backward()
        assert q.grad is not None and c.grad is not None
        results.append([loss.detach().numpy(), q.grad.numpy(), c.grad.numpy()])
    for fast, want in zip(*results, strict=True):
        np.testing.assert_allclose(fast, want, rtol=1e-4, atol=1e-5)  # scores are float32


@pytest.mark.parametrize("scoring", ["cosine", "dot"])
@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_losses_by_hand_on_three_items(scoring: Any, loss: Any) -> None:
    sessions = of_lists(["abc", "ab", "ca"]).drop_unused_items()  # rows: a 0, b 1, c 2; counts 3, 2, 2
    learner = create_learner(sessions, scoring=scoring, loss=loss, negatives=2, temperature=0.5, logq=0.7, dropout=0.0,
                         history=2, decay=0.5, batch=4)  # fmt: skip
    towers = towers_of(learner)
    items = towers.item_table.detach().numpy().astype(np.float64)
    towers.attention.data[:] = torch.linspace(-1, 1, 8)
    weight = np.exp(items @ np.linspace(-1, 1, 8))

    def mean(*rows: int) -> np.ndarray:  # oldest first
        w = np.array([weight[r] * 0.5 ** (len(rows) - 1 - i) for i, r in enumerate(rows)])
        return (w[:, None] * items[list(rows)]).sum(0) / w.sum()

    def score(query: np.ndarray, item: int) -> float:
        lengths = np.linalg.norm(query) * np.linalg.norm(items[item]) if scoring == "cosine" else 1
        return float(query @ items[item] / lengths / 0.5)

    events = torch.tensor([2, 4, 6])  # c after a b, b after a, a after c
    queries, targets = [mean(0, 1), mean(0), mean(2)], [2, 1, 0]
    if loss == "bce":
        negatives = [[0, 1], [2, 2], [1, 2]]
        want = -sum(np.log(1 / (1 + np.exp(-score(q, t)))) for q, t in zip(queries, targets, strict=True))
        want -= sum(
            np.log(1 - 1 / (1 + np.exp(-score(q, j)))) for q, js in zip(queries, negatives, strict=True) for j in js
        )
        got = towers(Batch((events, torch.tensor(negatives))))
    else:
        drawn = np.sqrt([3, 2, 2]) / np.sqrt([3, 2, 2]).sum()
        expected = 4 * np.array([3, 2, 2]) / 7 + 2 * drawn
        np.testing.assert_allclose(expected_draws(learner.recipe, np.array([3, 2, 2])), expected)
        candidates = [*targets, 1, 1]
        want = 0.0
        for row, (query, target) in enumerate(zip(queries, targets, strict=True)):
            scores = {c: score(query, i) - 0.7 * np.log(expected[i]) for c, i in enumerate(candidates)}
            rivals = [s for c, s in scores.items() if c == row or candidates[c] != target]
            want += np.log(np.exp(rivals).sum()) - scores[row]
        got = towers(Batch((events, torch.arange(3)), (torch.tensor(targets), torch.tensor([1, 1]))))
    assert float(got.detach()) == pytest.approx(want, rel=1e-4)


@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_old_events_have_lower_weights(loss: Any) -> None:
    """The loss of a batch is the sum of those of its examples, each times its weight."""
    day = 86_400_000
    plain = of_lists(["abc", "ab", "ca"]).drop_unused_items()
    sessions = replace(plain, times=np.array([0, 0, 2, 4, 4, 1, 3]) * day)
    want = 0.5 ** (np.array([4, 4, 2, 0, 0, 3, 1]) / 2)
    np.testing.assert_allclose(event_weights(sessions, 2.0), want / want.mean(), rtol=1e-6)
    given: Any = {"loss": loss, "negatives": 2, "dropout": 0.0}
    towers, alike = (towers_of(create_learner(sessions, half_life=h, **given)) for h in (2.0, None))
    alike.load_state_dict(towers.state_dict())
    batch = next(create_learner(sessions, **given).batches(1))
    alone = [float(alike(batch.part(number, len(batch))).detach()) for number in range(len(batch))]
    weights = event_weights(sessions, 2.0)[batch.each[0].numpy()]
    assert float(towers(batch).detach()) == pytest.approx(float(np.dot(alone, weights)), rel=1e-5)
    with pytest.raises(SettingsError, match="half_life of two-tower needs times, but the sessions have none"):
        TwoTower(half_life=3.0).fit(plain)


def test_popularity_trend_by_hand() -> None:
    """Days 0, 10, 20, 20 with a half-life of 10: of 2.75 recent events "a" has .25 + .5, "b" 2 · 1; "c" has none."""
    plain = of_lists(["aabb"], Vocab(list("abc")))
    sessions = replace(plain, times=np.array([0, 10, 20, 20]) * DAY)
    counts = np.array([2, 2, 0])
    wanted = [np.log((0.75 + 0.5) / 3.75 / 0.5), np.log((2 + 0.5) / 3.75 / 0.5), 0]
    np.testing.assert_allclose(popularity_trend(sessions, counts, 10.0), wanted, rtol=1e-6)


def test_expected_draws_of_items_without_events() -> None:
    expected = expected_draws(TwoTower(negatives=0, batch=10), np.array([4, 0, 1]))
    assert expected.tolist() == [8, 1, 2]


@pytest.mark.parametrize("users", [False, True])
def test_histories_against_a_slow_loop(users: bool) -> None:
    sessions = clustered_sessions(20)
    learner = create_learner(sessions, history=3, users=users)
    wanted = {}
    for s in range(len(sessions)):
        for place in range(0 if users else 1, len(sessions[s])):
            wanted[int(sessions.offsets[s]) + place] = sessions[s][max(0, place - 3) : place][::-1].tolist()
    events = torch.tensor(sorted(wanted))
    assert torch.equal(learner.events, events) and learner.examples == len(wanted)
    items, ages, bags = towers_of(learner).histories(events)
    starts = [*bags.tolist(), len(items)]
    for number, event in enumerate(events.tolist()):
        part = slice(starts[number], starts[number + 1])
        assert items[part].tolist() == wanted[event]
        assert ages[part].tolist() == list(range(len(wanted[event])))


def test_batches_contain_every_example_once_and_are_reproducible() -> None:
    learner, again = (create_learner(clustered_sessions(), ns_exponent=0.0) for _ in range(2))
    one, same, other = list(learner.batches(1)), list(again.batches(1)), list(learner.batches(2))
    events = torch.cat([batch.each[0] for batch in one])
    assert torch.equal(events.sort().values, learner.events) and not torch.equal(events, learner.events)
    assert all(torch.equal(a.each[0], b.each[0]) and torch.equal(a.shared[1], b.shared[1])
               for a, b in zip(one, same, strict=True))  # fmt: skip
    assert not torch.equal(one[0].each[0], other[0].each[0])
    for batch in one:
        assert torch.equal(batch.shared[0], learner.items[batch.each[0]]) and len(batch.shared[1]) == 12
    bce = next(create_learner(clustered_sessions(), loss="bce", negatives=3).batches(1))
    assert bce.each[1].shape == (32, 3) and bce.shared == ()


def test_negatives_are_drawn_in_proportion() -> None:
    sessions = of_lists(["aaaabb", "cab"], Vocab(list("abcd"))).reindex(Vocab(list("abcd")))
    learner = create_learner(sessions, ns_exponent=2.0)
    drawn = learner.draw(40_000, torch.Generator().manual_seed(0)).bincount(minlength=4) / 40_000
    assert drawn.tolist() == pytest.approx([25 / 35, 9 / 35, 1 / 35, 0], abs=0.01)


def test_sessions_without_examples_are_refused() -> None:
    with pytest.raises(DataError, match=r"there is no event to learn from \(2 sessions, 2 events\)"):
        TwoTower(**SMALL).fit(of_lists(["a", "b"]))
    with pytest.raises(DataError, match="no event to learn from"):  # nobody says who they are
        TwoTower(**{**SMALL, "history": 0, "users": True}).fit(tiny_sessions())
