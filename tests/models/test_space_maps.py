"""Maps of a model into the spaces of its predecessors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedrec.errors import ArtifactError, SettingsError
from embedrec.models.alignment import rotate_model
from embedrec.models.imported import Vectors
from embedrec.models.serialization import load_model, load_vector_model, save_model
from embedrec.models.space_maps import MOST_MAPS, in_space, load_maps, maps_of_new_space
from embedrec.models.vector_model import VectorModel
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.vectors.space import space_of
from tests.conftest import some_embeddings
from tests.test_corruption import sign
from tests.vectors.test_procrustes import turn

D = 4


def first(tmp_path: Path) -> Artifact:
    vectors = some_embeddings(30, D, spread=0.6)
    save_model(Vectors().from_arrays(vectors.vocab, {"items": vectors.vectors}), tmp_path / "m0", {})
    return artifacts.read(tmp_path / "m0")


def next_day(before: Artifact, number: int) -> Artifact:
    """The same vectors in a space of their own."""
    old = load_vector_model(before)
    model: VectorModel = rotate_model(old, turn(D, number))
    folder = before.folder.with_name(f"m{number}")
    save_model(model, folder, {}, maps=maps_of_new_space(model, old, before))
    return artifacts.read(folder)


def test_maps_lead_to_every_older_space(tmp_path: Path) -> None:
    days = [first(tmp_path)]
    for number in range(1, 4):
        days.append(next_day(days[-1], number))
    last = load_vector_model(days[-1])
    assert list(load_maps(days[-1])) == [space_of(day) for day in days[-2::-1]]
    for day in days:
        model, space = in_space(last, days[-1], space_of(day)[:12])
        assert space == space_of(day)
        np.testing.assert_allclose(model.embeddings.vectors, load_vector_model(day).embeddings.vectors, atol=1e-5)
    assert load_model(days[-1]).arrays.keys() == {"items"}  # maps are no array of the model


def test_old_spaces_are_forgotten(tmp_path: Path) -> None:
    day = first(tmp_path)
    for number in range(1, MOST_MAPS + 3):
        day = next_day(day, number)
    assert len(load_maps(day)) == MOST_MAPS


def test_other_spaces_are_refused(tmp_path: Path) -> None:
    day = next_day(first(tmp_path), 1)
    model = load_vector_model(day)
    known = ", ".join(space[:12] for space in (space_of(day), *load_maps(day)))
    with pytest.raises(SettingsError, match=f"'zz' is none of the spaces that model m1 can serve; name one of {known}"):
        in_space(model, day, "zz")
    with pytest.raises(SettingsError, match="'' is none of the spaces"):
        in_space(model, day, "")


def test_items_that_determine_no_rotation_leave_no_map(tmp_path: Path) -> None:
    day = first(tmp_path)
    few = some_embeddings(3, D, seed=5)
    model = Vectors().from_arrays(few.vocab, {"items": few.vectors})
    assert not maps_of_new_space(model, load_vector_model(day), day)


def test_maps_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    day = next_day(first(tmp_path), 1)
    for wrong in (np.zeros((2, D, D)), np.zeros((1, D, 3)), np.zeros((1, D))):
        np.save(day.folder / "maps.npy", wrong.astype(np.float32))
        sign(day.folder)
        with pytest.raises(ArtifactError, match="names 1 spaces, but its maps are"):
            load_maps(artifacts.read(day.folder))
