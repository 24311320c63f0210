"""The step [[train]]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from embedrec.config import settings_of
from embedrec.errors import SettingsError
from embedrec.experiments.session_steps import Prepare
from embedrec.experiments.step import Links, StepContext
from embedrec.experiments.train_step import Train
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.progress import quiet
from tests.experiments.conftest import Opened


def test_settings_contain_the_grid(open_experiment: Opened) -> None:
    train = open_experiment()[0].steps[3]
    assert isinstance(train, Train)
    assert [(r.window, r.min_count) for r in train.recipes] == [(2, 1), (2, 2), (5, 1), (5, 2)]  # type: ignore[attr-defined]
    assert train.recipes[0] == Word2Vec(dim=8, epochs=2, window=2, min_count=1)


def test_train_writes_a_model(context: StepContext) -> None:
    Prepare(source="table", paths=(str(context.workspace.root / "log.csv"),), name="log").run(context, quiet)
    links = Links(sessions="log")
    train = Train(model="svd", name="svd", set={"dim": 2, "min_count": 1}, links=links)
    assert train.settings() == {"model": "svd", "memory": None, "seed": 0, "settings": settings_of(train.recipes[0])}
    train.run(context, quiet)
    model = context.workspace.find("model", "svd")
    assert (model.about["recipe"], model.about["trained_on"]["name"]) == ("svd", "log")


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: Train(model="ar", memory="much"), "a memory size is a number with K, M, G or T, "),
        (lambda: Train(model="arr").recipes, "no model is called 'arr'; did you mean 'ar'?"),
        (lambda: Train(model="ar", name="x", set={"stps": 1}).recipes, "unknown setting 'stps' in [[train]] x"),
    ],
)
def test_invalid_values_are_refused(create: Callable[[], Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        create()
    assert str(error.value).startswith(message)
