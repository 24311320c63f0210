"""Models extended by new items: old vectors keep every byte, new items find their group."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec import MatrixFactorisation, Spectral, Word2Vec
from embedrec.data import Sessions
from embedrec.errors import DataError, SettingsError
from embedrec.models import settings_class
from embedrec.models.alignment import rotate_model
from embedrec.models.frozen import FrozenRecipe, extend_frozen
from embedrec.models.serialization import load_model, save_model
from embedrec.models.vector_model import VectorModel
from tests.conftest import of_lists
from tests.models.test_contract import Case, cases, label, small_recipe, train
from tests.training.toy import clustered_sessions
from tests.vectors.test_procrustes import turn

GROUP = 5  # items of each of six groups
NEW = ("new0", "new3")  # of the groups 0 and 3
WITH_VECTORS = cases(VectorModel)
FROZEN = [
    case
    for case in WITH_VECTORS
    if issubclass(settings_class(case[0]), FrozenRecipe)
    and case[1].get("loss") not in ("bpr", "logistic")
    and not case[1].get("contexts")
]


def sessions_with_new_items() -> Sessions:
    """The clustered sessions, some more of the same groups with a new item, and none with the item i29."""
    old = clustered_sessions()
    lists = [[str(old.vocab.ids[row]) for row in old[s] if old.vocab.ids[row] != "i29"] for s in range(len(old))]
    for name in NEW:
        first = int(name[3:]) * GROUP
        lists += [[f"i{first + i}", name, f"i{first + (i + 1) % GROUP}"] for i in range(GROUP) for _ in range(4)]
    return of_lists(lists)


@pytest.fixture(params=FROZEN, ids=label, scope="module")
def model(request: pytest.FixtureRequest) -> VectorModel:
    name, settings = request.param
    trained = small_recipe(name, settings).fit(clustered_sessions(), seed=0)
    assert isinstance(trained, VectorModel) and isinstance(trained.recipe, FrozenRecipe)
    return trained


def test_old_vectors_keep_every_byte(model: VectorModel, tmp_path: Path) -> None:
    sessions = sessions_with_new_items()
    extended = extend_frozen(model, sessions)
    assert extended.recipe == model.recipe and type(extended) is type(model)
    assert set(extended.vocab.ids) == set(sessions.vocab.ids)  # i29 left, the new ones came
    assert extended.vocab.counts is not None and extended.vocab.counts.sum() == len(sessions.items)
    rows = model.vocab.rows_of(extended.vocab.ids)
    old = rows >= 0
    assert extended.vocab.ids[~old].tolist() == list(NEW)
    for whole, before in ((extended.embeddings, model.embeddings), (extended.answers, model.answers)):
        assert whole.vectors[old].tobytes() == before.vectors[rows[old]].tobytes()
        assert whole.vectors[~old].any(axis=1).all()
    save_model(extended, tmp_path / "m", {})
    loaded = load_model(tmp_path / "m")
    assert loaded.recommend(sessions, 5).scores.tobytes() == extended.recommend(sessions, 5).scores.tobytes()
    again = extend_frozen(model, sessions)
    assert all(array.tobytes() == again.arrays[name].tobytes() for name, array in extended.arrays.items())


@pytest.mark.parametrize(
    "recipe",
    [
        Word2Vec(dim=8, epochs=30, min_count=1, sample=0.0),
        Spectral(dim=5, min_count=1),
        MatrixFactorisation(dim=6, min_count=1),
    ],
    ids=lambda recipe: recipe.name,
)
def test_new_items_are_near_their_group(recipe: Any) -> None:
    extended = extend_frozen(recipe.fit(clustered_sessions()), sessions_with_new_items())
    for name, neighbours in zip(NEW, extended.neighbours(extended.vocab.rows(NEW), 3).ids(), strict=True):
        assert all(int(i[1:]) // GROUP == int(name[3:]) for i in neighbours), neighbours
    histories = of_lists([["i1", "i2"], ["i16", "i17"]])
    for names, name in zip(extended.recommend(histories, 4).ids(), NEW, strict=True):
        assert name in names


def test_a_chain_of_extensions_and_rotations(model: VectorModel) -> None:
    """Extended day by day, in another space: the bytes of each day stay."""
    sessions = sessions_with_new_items()
    turned = rotate_model(model, turn(model.embeddings.dim))
    first = sessions.take(np.arange(len(sessions) - 20)).drop_unused_items()
    one = extend_frozen(turned, first)
    two = extend_frozen(one, sessions)
    for before, after in ((turned, one), (one, two)):
        rows = before.vocab.rows_of(after.vocab.ids)
        old = rows >= 0
        assert after.embeddings.vectors[old].tobytes() == before.embeddings.vectors[rows[old]].tobytes()
    same = extend_frozen(model, sessions)
    np.testing.assert_allclose(
        extend_frozen(turned, sessions).recommend(sessions, 3).scores, same.recommend(sessions, 3).scores, atol=1e-3
    )


def test_without_new_items_the_model_stays(model: VectorModel) -> None:
    sessions = clustered_sessions()
    same = extend_frozen(model, sessions)
    assert same.embeddings.vectors.tobytes() == model.embeddings.vectors.tobytes()
    np.testing.assert_allclose(same.recommend(sessions, 5).scores, model.recommend(sessions, 5).scores, atol=1e-5)


def test_sessions_of_other_items_are_refused(model: VectorModel) -> None:
    with pytest.raises(DataError, match="the sessions have none of the 30 items of the model"):
        extend_frozen(model, of_lists(["ab", "abc"]))


@pytest.mark.parametrize("case", [c for c in WITH_VECTORS if c not in FROZEN and not c[1]], ids=label)
def test_models_that_cannot_be_extended_are_refused(case: Case) -> None:
    model = train(case[0], {**case[1], **({"epochs": 1} if hasattr(settings_class(case[0]), "epochs") else {})})
    assert isinstance(model, VectorModel)
    with pytest.raises(SettingsError, match=f"{case[0]} cannot solve new items against old vectors; align it instead"):
        extend_frozen(model, clustered_sessions())
