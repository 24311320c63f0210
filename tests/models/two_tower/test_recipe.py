"""Two towers: losses by hand, histories by a slow loop, NumPy's queries against torch's, users, cold items."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from embedrec.data import Features, Sessions, Vocab
from embedrec.data.events import DAY
from embedrec.data.features import Categories, Lists
from embedrec.errors import DataError, SettingsError
from embedrec.models.feature_encoder import FeatureSum, catalogue, distinct, encode_features
from embedrec.models.torch_recipe import widths
from embedrec.models.two_tower.recipe import TwoTower
from embedrec.models.two_tower.training import (
    Towers,
    TwoTowerLearner,
    all_users,
    expected_draws,
    popularity_trend,
    sampled_softmax,
    weights_of,
)
from embedrec.training.loop import Batch
from tests.conftest import of_lists, tiny_sessions
from tests.training.toy import clustered_sessions

SMALL: dict[str, Any] = {"dim": 8, "epochs": 4, "batch": 32, "negatives": 12}


def learner_of(sessions: Sessions, **settings: Any) -> TwoTowerLearner:
    learner = TwoTower(**{**SMALL, **settings}).learner(sessions, seed=0, device="cpu")
    assert isinstance(learner, TwoTowerLearner)
    return learner


def towers_of(learner: TwoTowerLearner) -> Towers:
    assert isinstance(learner.module, Towers)
    return learner.module


# ------------------------------------------------------------------------------------------------ losses


def test_sampled_softmax_against_cross_entropy() -> None:
    """Loss and gradients; candidate 3 is item 7 as candidate 0 is, and no rival of it."""
    weights = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    torch.manual_seed(0)
    queries, candidates = torch.randn(3, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    bias, ids, column = torch.randn(5, dtype=torch.float64), torch.tensor([7, 2, 5, 7, 1]), torch.tensor([0, 1, 3])
    found = []
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
        found.append([loss.detach().numpy(), q.grad.numpy(), c.grad.numpy()])
    for fast, want in zip(*found, strict=True):
        np.testing.assert_allclose(fast, want, rtol=1e-4, atol=1e-5)  # scores are float32


@pytest.mark.parametrize("scoring", ["cosine", "dot"])
@pytest.mark.parametrize("loss", ["softmax", "bce"])
def test_losses_by_hand_on_three_items(scoring: Any, loss: Any) -> None:
    sessions = of_lists(["abc", "ab", "ca"]).drop_unused_items()  # rows: a 0, b 1, c 2; counts 3, 2, 2
    learner = learner_of(sessions, scoring=scoring, loss=loss, negatives=2, temperature=0.5, logq=0.7, dropout=0.0,
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
def test_old_events_count_less(loss: Any) -> None:
    """The loss of a batch is the sum of those of its examples, each times its weight."""
    day = 86_400_000
    plain = of_lists(["abc", "ab", "ca"]).drop_unused_items()
    sessions = replace(plain, times=np.array([0, 0, 2, 4, 4, 1, 3]) * day)
    want = 0.5 ** (np.array([4, 4, 2, 0, 0, 3, 1]) / 2)
    np.testing.assert_allclose(weights_of(sessions, 2.0), want / want.mean(), rtol=1e-6)
    given: Any = {"loss": loss, "negatives": 2, "dropout": 0.0}
    towers, alike = (towers_of(learner_of(sessions, half_life=h, **given)) for h in (2.0, None))
    alike.load_state_dict(towers.state_dict())
    batch = next(learner_of(sessions, **given).batches(1))
    alone = [float(alike(batch.part(number, len(batch))).detach()) for number in range(len(batch))]
    weights = weights_of(sessions, 2.0)[batch.each[0].numpy()]
    assert float(towers(batch).detach()) == pytest.approx(float(np.dot(alone, weights)), rel=1e-5)
    with pytest.raises(SettingsError, match="half_life of two-tower needs times, but the sessions have none"):
        TwoTower(half_life=3.0).fit(plain)


def test_risen_by_hand() -> None:
    """Days 0, 10, 20, 20 with a half-life of 10: of 2.75 recent events "a" has .25 + .5, "b" 2 · 1; "c" has none."""
    plain = of_lists(["aabb"], Vocab(list("abc")))
    sessions = replace(plain, times=np.array([0, 10, 20, 20]) * DAY)
    counts = np.array([2, 2, 0])
    wanted = [np.log((0.75 + 0.5) / 3.75 / 0.5), np.log((2 + 0.5) / 3.75 / 0.5), 0]
    np.testing.assert_allclose(popularity_trend(sessions, counts, 10.0), wanted, rtol=1e-6)


@pytest.mark.parametrize("scoring", ["cosine", "dot"])
def test_trend_is_added_to_every_score(scoring: Any) -> None:
    plain = clustered_sessions(20)
    sessions = replace(plain, times=np.arange(len(plain.items)) * DAY)
    settings: dict[str, Any] = {"scoring": scoring, "temperature": 0.5, "patience": None}
    model = TwoTower(**{**SMALL, **settings, "trend": 5.0}).fit(sessions)
    flat = TwoTower(**{**SMALL, **settings}).fit(sessions)
    histories = sessions.take(np.arange(6)).reindex(model.vocab)
    rise, n = model.arrays["trend"], len(model.vocab)
    assert rise.max() > 0 > rise.min()
    with_trend, without = (m.recommend(histories, n, exclude_seen=False) for m in (model, flat))
    for q in range(len(histories)):
        scores = dict(zip(without.rows[q].tolist(), without.scores[q].tolist(), strict=True))
        wanted = [scores[row] + 0.5 * rise[row] for row in with_trend.rows[q].tolist()]
        np.testing.assert_allclose(with_trend.scores[q], wanted, rtol=1e-4, atol=1e-5)
    assert model.encode(histories).vectors.shape == (6, 8)
    assert model.scale_norms(0.5).recommend(histories, 3, exclude_seen=False).rows.tolist() == (
        flat.scale_norms(0.5).recommend(histories, 3, exclude_seen=False).rows.tolist()
    )
    with pytest.raises(SettingsError, match="trend of two-tower needs times, but the sessions have none; leave it out"):
        TwoTower(trend=3.0).fit(plain)


def test_expected_draws_of_what_never_occurs() -> None:
    expected = expected_draws(TwoTower(negatives=0, batch=10), np.array([4, 0, 1]))
    assert expected.tolist() == [8, 1, 2]


# ------------------------------------------------------------------------------------- examples and batches


@pytest.mark.parametrize("users", [False, True])
def test_histories_against_a_slow_loop(users: bool) -> None:
    sessions = clustered_sessions(20)
    learner = learner_of(sessions, history=3, users=users)
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


@pytest.mark.parametrize("n", [9, 10_000])
def test_distinct_rows(n: int) -> None:
    rows = torch.tensor([7, 3, 3, 8, 7, 0])
    found, place = distinct(rows, n)
    assert found.tolist() == [0, 3, 7, 8] and torch.equal(found[place], rows)
    assert [len(part) for part in distinct(rows[:0], n)] == [0, 0]


def test_batches_hold_every_example_once_and_repeat() -> None:
    learner, again = (learner_of(clustered_sessions(), ns_exponent=0.0) for _ in range(2))
    one, same, other = list(learner.batches(1)), list(again.batches(1)), list(learner.batches(2))
    events = torch.cat([batch.each[0] for batch in one])
    assert torch.equal(events.sort().values, learner.events) and not torch.equal(events, learner.events)
    assert all(torch.equal(a.each[0], b.each[0]) and torch.equal(a.shared[1], b.shared[1])
               for a, b in zip(one, same, strict=True))  # fmt: skip
    assert not torch.equal(one[0].each[0], other[0].each[0])
    for batch in one:
        assert torch.equal(batch.shared[0], learner.items[batch.each[0]]) and len(batch.shared[1]) == 12
    bce = next(learner_of(clustered_sessions(), loss="bce", negatives=3).batches(1))
    assert bce.each[1].shape == (32, 3) and bce.shared == ()


def test_negatives_are_drawn_in_proportion() -> None:
    sessions = of_lists(["aaaabb", "cab"], Vocab(list("abcd"))).reindex(Vocab(list("abcd")))
    learner = learner_of(sessions, ns_exponent=2.0)
    drawn = learner.draw(40_000, torch.Generator().manual_seed(0)).bincount(minlength=4) / 40_000
    assert drawn.tolist() == pytest.approx([25 / 35, 9 / 35, 1 / 35, 0], abs=0.01)


# ---------------------------------------------------------------------------------------------- the model


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"query_layers": "7,5", "users": True, "history": 3, "item_layers": "6"},
        {"history": 0, "users": True, "scoring": "dot", "temperature": 1.0, "patience": None},
        {"loss": "bce", "attention": False, "negatives": 3},
    ],
)
def test_queries_without_torch_are_those_of_torch(settings: Any) -> None:
    sessions = clustered_sessions()
    learner = learner_of(sessions, **settings)
    towers = towers_of(learner)
    with torch.no_grad():
        for parameter in towers.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    towers.eval()
    events = learner.events[learner.events > 0]
    vectors = towers.item_vectors(torch.arange(len(sessions.vocab)))
    history, ages, bags = towers.histories(events)
    want = towers.queries(vectors, history, ages, bags, events).detach().numpy()
    model = learner.model()
    session, place = sessions.session_of[events.numpy()], sessions.place_of[events.numpy()]
    found = model.encoder(sessions.take(session, place))
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.embeddings.vectors, vectors.detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize("settings", [{}, {"loss": "bce", "scoring": "dot", "temperature": 1.0, "negatives": 8}])
def test_it_learns_which_items_go_together(settings: Any) -> None:
    sessions = clustered_sessions(240)
    model = TwoTower(**{**SMALL, "epochs": 15, "patience": None, **settings}).fit(sessions, seed=2)
    groups = np.array([int(str(i)[1:]) // 5 for i in sessions.vocab.ids])
    answer = model.recommend(sessions, 3, exclude_seen=False).rows
    assert (groups[answer] == groups[sessions.items[sessions.offsets[:-1]]][:, None]).mean() > 0.95
    near = model.embeddings.search(model.embeddings.vectors, 4).rows
    assert (groups[near] == groups[:, None]).mean() > 0.9


def test_users_count_and_unknown_ones_do_not() -> None:
    sessions = clustered_sessions(240)
    model = TwoTower(**{**SMALL, "epochs": 15, "users": True, "patience": None}).fit(sessions, seed=2)
    groups = np.array([int(str(i)[1:]) // 5 for i in sessions.vocab.ids])
    empty = of_lists([[]] * 13, sessions.vocab)
    users = replace(empty, users=np.array([f"u{i}" for i in range(12)] + ["nobody"], dtype=object))
    encoded = model.encoder(users)
    assert encoded[:12].any(axis=1).all() and not encoded[12].any()
    answer = groups[model.recommend(users, 4).rows[:12]]
    assert (answer == (np.arange(12) % 6)[:, None]).mean() > 0.9
    some = sessions.take(np.arange(5))
    stranger = replace(some, users=np.array(["nobody"] * 5, dtype=object))
    np.testing.assert_array_equal(model.encoder(stranger), model.encoder(replace(some, users=None)))
    assert (model.encoder(some) != model.encoder(stranger)).any()
    numbered = replace(sessions, users=np.arange(len(sessions)) % 12)
    whole = TwoTower(**{**SMALL, "users": True}).fit(numbered, seed=2)
    assert whole.arrays["user_ids"].tolist() == list(range(12))


def featured(sessions: Sessions, strangers: int = 2) -> Sessions:
    """Every item has its group as a category, in a list, and a number; two items of each group never occur."""
    new = [f"i{group * 5 + 100 + i}" for group in range(6) for i in range(strangers)]
    ids = [*sessions.vocab.ids.tolist(), *new]
    group = np.array([(int(i[1:]) % 100) // 5 for i in ids], dtype=np.int32)
    group = np.where([int(i[1:]) >= 100 for i in ids], np.array([(int(i[1:]) - 100) // 5 for i in ids]), group)
    names = np.array([f"g{g}" for g in range(6)], dtype=object)
    lists = Lists(np.arange(len(ids) + 1), group, names)
    numbers = {"number": group.astype(np.float32)}
    return replace(
        sessions, item_features=Features(Vocab(ids), numbers, {"group": Categories(group, names)}, {"l": lists})
    )


def test_cold_items_are_found() -> None:
    sessions = featured(clustered_sessions(240))
    model = TwoTower(**{**SMALL, "epochs": 25, "patience": None, "id_dropout": 0.3}).fit(sessions, seed=0)
    n = len(sessions.vocab)
    assert len(model.vocab) == n + 12 and model.vocab.ids[:n].tolist() == sessions.vocab.ids.tolist()
    assert model.arrays["cold"].tolist() == [0] * n + [1] * 12
    assert model.vocab.counts is not None and model.vocab.counts[n:].tolist() == [0] * 12
    groups = np.array(
        [(int(str(i)[1:]) - 100 if int(str(i)[1:]) >= 100 else int(str(i)[1:])) // 5 for i in model.vocab.ids]
    )
    assert np.linalg.norm(model.embeddings.vectors[n:], axis=1).min() > 0.1
    near = model.embeddings.search(model.embeddings.vectors[n:], 5).rows
    assert (groups[near] == groups[n:, None]).mean() > 0.9
    histories = sessions.take(np.arange(60))
    answer = model.recommend(histories, 7, exclude_seen=False).rows
    assert (answer >= n).any(axis=1).mean() > 0.9  # all seven of a group are answered, two of them cold
    plain = TwoTower(**{**SMALL, "features": False}).fit(sessions, seed=0)
    assert len(plain.vocab) == n and not plain.arrays["cold"].any()


def test_users_that_have_features_only() -> None:
    """Sessions of one group each, of users who say which; of users without a session nothing else is known."""
    plain = clustered_sessions(240)
    group_of = np.array([int(str(i)[1:]) // 5 for i in plain.vocab.ids])
    groups = group_of[plain.items[plain.offsets[:-1]]]
    names = np.array([f"g{g}" for g in range(6)], dtype=object)
    ids = [*(f"u{g}{n}" for g in range(6) for n in range(3)), *(f"new{g}" for g in range(6))]
    codes = np.array([*np.repeat(np.arange(6), 3), *range(6)], dtype=np.int32)
    features = Features(Vocab(ids), categorical={"group": Categories(codes, names)})
    users = np.array([f"u{g}{n % 3}" for n, g in enumerate(groups)], dtype=object)
    sessions = replace(plain, users=users, user_features=features)
    settings = {**SMALL, "epochs": 20, "users": True, "history": 0, "id_dropout": 0.5, "patience": None}
    model = TwoTower(**settings).fit(sessions, seed=1)
    empty = of_lists([""] * 6, model.vocab)
    asked = replace(empty, users=np.array([f"new{g}" for g in range(6)], dtype=object))
    answer = model.recommend(asked, 4).rows
    assert (group_of[answer] == np.arange(6)[:, None]).mean() > 0.9
    without = TwoTower(**{**settings, "features": False}).fit(sessions, seed=1)
    assert not without.encoder(asked).any()
    numbered = replace(sessions, users=np.arange(len(sessions)))
    assert all_users(numbered, features=True).ids.tolist() == list(range(len(sessions)))  # type: ignore[union-attr]


def test_features_as_a_sum() -> None:
    names = np.array(["x", "y"], dtype=object)
    features = Features(
        Vocab(list("abc")),
        {"year": np.array([1, 3, np.nan], dtype=np.float32)},
        {"kind": Categories(np.array([1, -1, 0]), names)},
        {"tags": Lists(np.array([0, 2, 2, 3]), np.array([0, 1, 1]), names)},
    )
    coded = encode_features(features, np.array([True, True, False]))
    assert coded.offsets.tolist() == [0, 3, 3, 5] and coded.count == 4
    assert coded.words.tolist() == [1, 2, 3, 0, 3] and coded.weights.tolist() == [1, 0.5, 0.5, 1, 1]
    assert coded.numbers.tolist() == [[-1], [1], [0]]
    module = FeatureSum(coded, 3)
    table, linear = module.table.detach(), module.linear
    assert linear is not None
    year = linear.weight.detach()[:, 0]
    rows = module(torch.tensor([2, 0, 1, 2])).detach().numpy()
    want = [table[0] + table[3], table[1] + (table[2] + table[3]) / 2 - year, year, table[0] + table[3]]
    np.testing.assert_allclose(rows, torch.stack(want).numpy(), rtol=1e-5, atol=1e-7)


def test_names_of_items_without_events() -> None:
    sessions = tiny_sessions()
    assert sessions.vocab.names is not None
    known = Features(Vocab(["new", str(sessions.vocab.ids[0])], ["New", "First"]), {"x": np.array([1.0, 2.0])})
    vocab, features = catalogue(replace(sessions, item_features=known), features=True)
    assert vocab.ids.tolist() == [*sessions.vocab.ids.tolist(), "new"] and vocab.names is not None
    assert vocab.names.tolist() == [*sessions.vocab.names.tolist(), "New"]
    assert features is not None and features.numeric["x"][-1] == 1


def test_features_of_ids_of_another_type_are_of_nobody() -> None:
    sessions = replace(tiny_sessions(), item_features=Features(Vocab(np.arange(3))))
    vocab, features = catalogue(sessions, features=True)
    assert vocab is sessions.vocab and features is not None and len(features) == len(vocab)
    assert catalogue(sessions, features=False) == (sessions.vocab, None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dim": 0}, "dim must be between 1 and 65536, but is 0"),
        ({"temperature": 0.0}, "temperature must be at least 1e-06, but is 0.0"),
        ({"logq": 2.0}, "logq must be between 0 and 1, but is 2.0"),
        ({"loss": "hinge"}, "loss must be one of softmax, bce, but is 'hinge'"),
        (
            {"query_layers": "64,x"},
            "query_layers must be whole numbers as in \"128,64\", or empty for none, but is '64,x'",
        ),
        ({"item_layers": "0"}, "item_layers must be whole numbers"),
        ({"history": 0}, "a query needs a history or a user; set history above 0, or users=true"),
        ({"epochs": 0}, "epochs must be at least 1, but is 0"),
    ],
)
def test_settings_that_are_not_allowed(settings: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        TwoTower(**settings)
    assert widths("128, 64", "query_layers") == [128, 64]


def test_nothing_to_learn_from() -> None:
    with pytest.raises(DataError, match=r"there is no event to learn from \(2 sessions, 2 events\)"):
        TwoTower(**SMALL).fit(of_lists(["a", "b"]))
    with pytest.raises(DataError, match="no event to learn from"):  # nobody says who they are
        TwoTower(**{**SMALL, "history": 0, "users": True}).fit(tiny_sessions())


def test_arrays_that_do_not_fit() -> None:
    model = TwoTower(**{**SMALL, "users": True, "query_layers": "5"}).fit(clustered_sessions(), seed=0)
    for name, array in model.arrays.items():
        with pytest.raises(DataError):
            model.recipe.from_arrays(model.vocab, {**model.arrays, name: array[:-1]})
    less = {name: array for name, array in model.arrays.items() if name != "layer1"}
    with pytest.raises(DataError, match=r"layer1 of a two-tower model must have shape \(5, 8\), but is missing"):
        model.recipe.from_arrays(model.vocab, less)
