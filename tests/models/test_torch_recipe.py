"""What recipes with torch share: held-back sessions, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embedrec.errors import SettingsError, TrainingError
from embedrec.models.baselines.popular import Popular
from embedrec.models.torch_recipe import choose_device, digest, fit_recipe, hold_out_last_items
from embedrec.models.two_tower.recipe import TwoTower
from embedrec.progress import quiet
from embedrec.training.context import TrainingContext
from tests.conftest import of_lists, tiny_sessions
from tests.training.toy import clustered_sessions

SMALL: dict[str, Any] = {"dim": 8, "epochs": 3, "batch": 32, "negatives": 12}


def test_validation_items_are_not_trained_on() -> None:
    sessions = clustered_sessions(200)
    queries = hold_out_last_items(sessions, 1)
    assert queries is not None
    long = int((sessions.lengths >= 3).sum())
    assert 0 < len(queries.histories) <= -(-long // 20)
    assert len(queries.train.items) == len(sessions.items) - len(queries.histories)
    at = {i: s for s, i in enumerate(sessions.ids.tolist())}
    for number, session in enumerate(queries.histories.ids.tolist()):
        whole = sessions[at[session]].tolist()
        assert [*queries.histories[number].tolist(), int(queries.targets[number])] == whole and len(whole) >= 3
        assert queries.train[at[session]].tolist() == whole[:-1]
    assert not queries.exclude_seen  # these sessions repeat items
    assert not set(sessions.items.tolist()) - set(queries.train.items.tolist())
    assert hold_out_last_items(of_lists(["ab", "c"]), 0) is None
    assert hold_out_last_items(of_lists(["abc", "ab"]), 0) is None  # c would be lost


def test_validation_by_hand() -> None:
    sessions = clustered_sessions(200)
    queries = hold_out_last_items(sessions, 1)
    assert queries is not None
    model = Popular().fit(queries.train)
    order = model.recommend(queries.histories, 20, exclude_seen=False).ids()
    targets = [sessions.vocab.id(int(t)) for t in queries.targets]
    ranks = [ids.index(t) + 1 if t in ids else None for ids, t in zip(order, targets, strict=True)]
    judged = queries.evaluate(model)
    assert judged["recall@20"] == pytest.approx(np.mean([r is not None for r in ranks]))
    assert judged["mrr@20"] == pytest.approx(np.mean([1 / r if r else 0 for r in ranks]))


def test_early_stopping_restores_the_best_weights() -> None:
    reports: list[dict[str, Any]] = []
    recipe = TwoTower(**{**SMALL, "epochs": 12, "patience": 1, "learning_rate": 5.0})
    sessions = clustered_sessions(200)
    model = recipe.fit(sessions, seed=3, report=lambda event, **n: reports.append({"event": event, **n}))
    epochs = [t for t in reports if t["event"] == "epoch"]
    best = reports[-1]
    assert best["event"] == "best" and len(epochs) in (best["epoch"] + 1, 12)
    assert best["recall@20"] == max(e["recall@20"] for e in epochs)
    queries = hold_out_last_items(sessions, 3)
    assert queries is not None and queries.evaluate(model)["recall@20"] == best["recall@20"]


def test_divergence_ends_with_a_clear_error() -> None:
    recipe = TwoTower(**{**SMALL, "attention": True, "layer_rate": 100.0})  # weights are exponentials of attention
    with pytest.raises(TrainingError, match=r"the loss is \S+ at step \d+ of epoch \d+; lower the learning rate"):
        recipe.fit(clustered_sessions(), seed=0)


def test_digests_of_different_sessions_differ() -> None:
    sessions = clustered_sessions(30)
    same = clustered_sessions(30)
    assert digest(sessions) == digest(same) and len(digest(sessions)) == 64
    other = replace(sessions, users=sessions.users[::-1])  # type: ignore[index]
    assert len({digest(sessions), digest(other), digest(sessions.take(np.arange(29))), digest(tiny_sessions())}) == 4


def test_recipes_without_torch_have_one_way_to_train() -> None:
    given: dict[str, Any] = {"seed": 0, "threads": 1, "report": quiet}
    assert len(fit_recipe(Popular(), tiny_sessions(), **given).vocab) == 6
    with pytest.raises(SettingsError, match="popular trains in one process on the CPU, without checkpoints"):
        fit_recipe(Popular(), tiny_sessions(), **given, context=TrainingContext("cuda"))


def test_devices_of_recipes() -> None:
    reports: list[Any] = []
    for queries in ("auto", "cpu"):
        assert choose_device(Popular(), queries) == "cpu"
    with pytest.raises(SettingsError, match="popular trains on the CPU only; leave --device out"):
        choose_device(Popular(), "cuda")
    assert choose_device(TwoTower(), "cpu", lambda *a, **n: reports.append(n)) == "cpu" and not reports
    chosen = choose_device(TwoTower(), "auto", lambda *a, **n: reports.append(n))
    assert reports == [{"chosen": chosen}]
