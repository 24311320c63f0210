"""Fitting of session kNN, and its inverted index."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from embedrec.errors import DataError
from embedrec.models.session_knn.base import SessionKnn
from embedrec.models.session_knn.variants import SKNN, SSCF, VSKNN
from embedrec.models.session_knn.wsknn import WSKNN
from tests.conftest import of_lists
from tests.models.session_knn.past_sessions import LETTERS
from tests.models.session_knn.random_sessions import long_histories, long_tail_sessions


@pytest.mark.parametrize("sample", [1, 7, 100, 1000, 0])
@pytest.mark.parametrize("recipe", [SKNN(), SSCF()], ids=["sets", "counts"])
def test_candidates_are_the_newest(recipe: SessionKnn, sample: int) -> None:
    train = long_tail_sessions()
    histories = long_histories(800, 100)
    numbers = replace(recipe, sample=sample).fit(train).neighbours(histories, len(train))[0]
    held = train.matrix() > 0
    for q in range(len(histories)):
        sharing = np.flatnonzero(held[:, np.unique(histories[q])].sum(axis=1)) if len(histories[q]) else []
        assert sorted(numbers[q][numbers[q] >= 0]) == list(sharing)[-sample:]


def test_followers_are_the_items_directly_after_an_item() -> None:
    lists = ["abab", "", "ac", "ba"]
    model = SKNN(scoring="followers").fit(of_lists(lists, LETTERS))
    for item in "abcdef":
        expected = {b for items in lists for a, b in pairwise(items) if a == item}
        row = "abcdef".index(item)
        result = model.index.followers[model.index.followed[row] : model.index.followed[row + 1]]
        assert LETTERS.ids[result].tolist() == sorted(expected)


def test_the_seed_of_random_samples_is_stored() -> None:
    sessions = of_lists(["ab", "bc"], LETTERS)
    model = WSKNN(sampling="random").fit(sessions, seed=9)
    assert model.arrays["seed"].tolist() == [9] and "seed" not in SKNN().fit(sessions, seed=9).arrays
    with pytest.raises(DataError) as error:
        model.recipe.from_arrays(model.vocab, {**model.arrays, "seed": np.array([1, 2])})
    assert str(error.value) == "a random sample needs one seed, but was given shape (2,)"


def test_a_model_is_rebuilt_with_other_sessions() -> None:
    """A rebuilt model equals one that was fitted on the other sessions, and keeps its number of threads."""
    old, new = of_lists(["ab", "bc"], LETTERS), of_lists(["cd", "da", "ab"], LETTERS)
    recipe = VSKNN(neighbours=2)
    model = recipe.fit(old, threads=2)
    rebuilt = recipe.rebuild(model, LETTERS, recipe.store(new))
    expected = recipe.fit(new)
    histories = of_lists(["a", "cd"], LETTERS)
    assert rebuilt.threads == 2
    assert rebuilt.recommend(histories, 6).ids() == expected.recommend(histories, 6).ids()
    assert {name: array.tolist() for name, array in rebuilt.arrays.items()} == {
        name: array.tolist() for name, array in expected.arrays.items()
    }
