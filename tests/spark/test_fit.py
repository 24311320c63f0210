"""Models fitted on Spark have the bytes of the models of one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data import Sessions, Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.models import recipe_class
from embedrec.models.factorization.mf import MatrixFactorisation
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.spark.fit import FitContext, fit_on_spark
from embedrec.spark.sessions_frame import open_sessions
from embedrec.spark.written_parts import staging
from embedrec.storage.memory_budget import spill
from tests.spark.one_session import on_cluster

pytestmark = pytest.mark.spark

ITEMS = 60
SPLIT = 600  # mentions of a part; more than one part counts the item of every other session
SR_SPLIT = 12_000  # the same for sr, whose parts weigh long sessions by the square
RECIPES: list[tuple[str, dict[str, Any]]] = [
    ("cooccurrence", {}),
    ("cooccurrence", {"measure": "bm25", "top": 7}),
    ("cooccurrence", {"measure": "ppmi", "window": 2, "min_count": 4}),
    ("cooccurrence", {"measure": "lift", "top": 1}),
    ("ar", {"pruning": 9}),
    ("ar", {"itself": False}),
    ("sr", {"steps": 3}),
    ("sr", {"itself": False, "pruning": 4}),
    ("popular", {}),
    ("popular", {"days": 2.0}),
    ("mf", {"dim": 5, "epochs": 2}),
]


def random_sessions(seed: int = 0) -> Sessions:
    """Sessions with repeated items, an item in half of them, empty sessions, and one that is far longer."""
    rng = np.random.default_rng(seed)
    lists = [rng.integers(0, ITEMS, rng.integers(0, 9)).tolist() for _ in range(300)]
    lists = [[0, *items] if number % 2 else items for number, items in enumerate(lists)]
    lists[7] = rng.integers(0, ITEMS, 700).tolist()
    plain = Sessions.of_lists(lists, Vocab(np.arange(ITEMS)))
    times = 1_700_000_000_000 + np.sort(rng.integers(0, 6 * 86_400_000, len(plain.items)))
    return Sessions(plain.offsets, plain.items, plain.vocab, plain.ids, times=times)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sessions, Path]:
    folder = tmp_path_factory.mktemp("workspace") / "sessions"
    sessions = random_sessions()
    sessions.save(folder, {})
    return sessions, folder


def fitted(spark: Any, recipe: Any, folder: Path, *, size: int = 1 << 22) -> Any:
    """The model by Spark, from slices of 400 events."""
    with open_sessions(spark, folder, size=400) as frame, staging(spark, folder.parent / "model") as parts:
        return fit_on_spark(recipe, frame, FitContext(parts, spill(folder.parent), size=size))


@pytest.mark.parametrize(("name", "settings"), RECIPES, ids=str)
def test_models_have_the_same_bytes(spark: Any, saved: Any, name: str, settings: dict[str, Any]) -> None:
    """Also where an item has several parts, each for a share of the sessions."""
    sessions, folder = saved
    recipe = recipe_class(name)(**settings)
    local = recipe.fit(sessions)
    model = fitted(spark, recipe, folder, size=SR_SPLIT if name == "sr" else SPLIT)
    assert model.vocab.ids.tolist() == local.vocab.ids.tolist()
    assert (model.vocab.counts is None) == (local.vocab.counts is None)
    assert model.arrays.keys() == local.arrays.keys()
    for array, values in local.arrays.items():
        given = np.asarray(model.arrays[array])
        assert (given.dtype, given.shape) == (values.dtype, values.shape)
        assert given.tobytes() == values.tobytes()


def test_a_half_life_is_summed_in_the_order_of_slices(spark: Any, saved: Any) -> None:
    sessions, folder = saved
    recipe = recipe_class("popular")(half_life=0.5)
    model = fitted(spark, recipe, folder)
    assert model.arrays["counts"].dtype == np.float64
    np.testing.assert_allclose(model.arrays["counts"], recipe.fit(sessions).arrays["counts"], rtol=1e-13)
    assert fitted(spark, recipe, folder).arrays["counts"].tobytes() == model.arrays["counts"].tobytes()


@pytest.mark.parametrize("settings", [{}, {"window": 2, "matrix": "ppmi"}, {"contexts": 0.5}], ids=str)
def test_svd_has_the_same_matrix(spark: Any, saved: Any, settings: dict[str, Any]) -> None:
    """The same bytes, but with items of several parts, whose pairs come in another order."""
    sessions, folder = saved
    recipe = recipe_class("svd")(dim=5, **settings)
    local = recipe.fit(sessions).arrays["items"]
    assert fitted(spark, recipe, folder).arrays["items"].tobytes() == local.tobytes()
    split = fitted(spark, recipe, folder, size=SPLIT).arrays["items"]
    np.testing.assert_allclose(split, local, atol=1e-4 * np.abs(local).max())


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (
            Word2Vec(),
            "word2vec is not trained by the engine spark, which trains ar, cooccurrence, mf, popular, sr, svd; leave "
            "--engine out",
        ),
        (
            MatrixFactorisation(loss="bpr"),
            "mf with loss=bpr is trained by gradients, which the engine spark does not do; set loss=als, or leave "
            "--engine out",
        ),
    ],
)
def test_what_is_not_trained_on_spark(spark: Any, saved: Any, recipe: Any, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        fitted(spark, recipe, saved[1])
    assert str(error.value) == message


def test_errors_are_those_of_one_machine(spark: Any, saved: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^none of the 60 items is mentioned min_count=5000 times"):
        fitted(spark, recipe_class("cooccurrence")(min_count=5000), saved[1])
    Sessions.of_lists([["a"], ["b"]]).save(tmp_path / "sessions", {})
    with pytest.raises(DataError, match=r"^no session has two items to learn from \(2 sessions of 2 items"):
        fitted(spark, recipe_class("svd")(min_count=1), tmp_path / "sessions")
    with pytest.raises(SettingsError, match=r"^days and half_life of popular need times, but the sessions have none;"):
        fitted(spark, recipe_class("popular")(days=1), tmp_path / "sessions")


@pytest.mark.slow
def test_killed_executors_change_nothing(tmp_path: Path) -> None:
    """Executor processes are killed at random, with speculation on."""
    from tests.spark.killed_counts import check

    random_sessions().save(tmp_path / "sessions", {})
    code = """
from dataclasses import replace
from pathlib import Path
from tests.spark import killed_counts
settings = replace(settings, conf={**settings.conf, "spark.speculation": "true", "spark.task.maxFailures": "20",
    "spark.deploy.maxExecutorRetries": "-1", "spark.stage.maxConsecutiveAttempts": "20",
    "spark.excludeOnFailure.enabled": "false"})
with spark_session(settings) as spark:
    print(killed_counts.fit_all(spark, Path(arguments[0]), 2))
"""
    assert int(on_cluster(code, tmp_path).splitlines()[-1]) >= 1
    check(tmp_path)
