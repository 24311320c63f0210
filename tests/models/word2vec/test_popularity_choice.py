"""The exponent of norms of a continued model: chosen again, a step at a time, where a training had chosen it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import embedrec.models.word2vec.popularity_choice as module
from embedrec import Sessions, Word2Vec
from embedrec.data.session_changes import SessionChanges, session_changes
from embedrec.models.word2vec.popularity_choice import choose_again
from embedrec.models.word2vec.recipe import Word2VecModel
from tests.conftest import of_lists
from tests.models.planted_groups import clusters

SETTINGS = Word2Vec(dim=8, epochs=2, min_count=1, sample=0.0)


@pytest.fixture(scope="module")
def model() -> Word2VecModel:
    return SETTINGS.fit(clusters())


def changes(count: int) -> SessionChanges:
    old = clusters()
    lists = [old.vocab.ids[old[s]].tolist() for s in range(len(old))]
    return session_changes(old, of_lists([*lists, *[[0, 1, 2, 3, 12_345, 4]] * count]))


@pytest.mark.parametrize(("own", "near"), [(0.0, (0.0, 0.25)), (0.5, (0.25, 0.5, 0.75)), (1.0, (0.75, 1.0))])
def test_chooses_between_neighbours_by_what_the_model_has_not_seen(
    model: Word2VecModel, monkeypatch: pytest.MonkeyPatch, own: float, near: tuple[float, ...]
) -> None:
    given: dict[str, Sessions] = {}

    def choose(
        embeddings: object, encoder: object, sessions: Sessions, *, seed: int, shares: tuple[float, ...], most: int
    ) -> float:
        given["cases"] = sessions
        assert shares == near
        return shares[-1]

    monkeypatch.setattr(module, "best_share", choose)
    assert choose_again(model.items, own, 0.7, changes(50), seed=0) == near[-1]
    lists = {tuple(model.vocab.ids[given["cases"][s]].tolist()) for s in range(len(given["cases"]))}
    assert lists == {(0, 1), (0, 1, 2), (0, 1, 2, 3), (0, 1, 2, 3, 4)}  # each event after those before it


def test_few_new_sessions_choose_nothing(model: Word2VecModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "best_share", None)
    assert choose_again(model.items, 0.5, 0.7, changes(49), seed=0) == 0.5


def test_a_chosen_exponent_is_chosen_again_and_a_given_one_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embedrec.models.word2vec.recipe.choose_again", lambda *given, seed: 0.75)
    new = changes(50)

    def continued(model: Word2VecModel, **settings: object) -> Word2VecModel:
        recipe = dataclasses.replace(model.recipe.continuing(changes=True), **settings)
        return recipe.fit(new.new, init=model, changes=new)

    first = SETTINGS.fit(new.old)
    second = continued(first)
    assert second.recipe.popularity == 0.75
    assert continued(second).recipe.popularity == 0.75
    assert continued(first, popularity=1.0).recipe.popularity == 1.0
    given = dataclasses.replace(SETTINGS, popularity=0.5).fit(new.old)
    assert continued(given).recipe.popularity == 0.5
    assert "chosen_popularity" in second.arrays and "chosen_popularity" not in given.arrays
    assert np.array_equal(second.arrays["chosen_popularity"], first.arrays["chosen_popularity"])
