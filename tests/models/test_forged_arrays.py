"""Arrays in the artifact of a model that no model has, with checksums that fit: no compiled kernel sees them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.errors import ArtifactError, DataError
from embedrec.models.base import Model
from embedrec.models.serialization import load_model, save_model
from embedrec.storage import artifacts
from tests.models.test_contract import cases, histories, label, train
from tests.test_corruption import sign

LARGEST = 2**63 - 1
CASES = cases()
EACH = [v for v in CASES if not v[1]]
EACH += [v for v in CASES if v[1].get("candidates") == "ann" or v[1].get("input") == "onehot" or "loss" in v[1]]


@pytest.fixture(params=EACH, ids=label, scope="module")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("model") / "x"
    save_model(train(*request.param), place, {})
    return place


FORGED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "half of it": lambda a: a[: len(a) // 2],
    "nothing of it": lambda a: a[:0],
    "twice": lambda a: np.concatenate([a, a]),
    "another axis": lambda a: a[..., None],
    "half precision": lambda a: a.astype(np.float16),
    "the other byte order": lambda a: a.astype(a.dtype.newbyteorder()) if a.itemsize > 1 else a.astype(">i4"),
    "the order of Fortran": lambda a: np.asfortranarray(a) if a.ndim == 2 and min(a.shape) > 1 else a[None, ::2],
}


@pytest.mark.parametrize("how", FORGED)
def test_arrays_of_another_shape_or_type_are_refused(folder: Path, how: str, tmp_path: Path) -> None:
    for file in sorted(folder.glob("*.npy")):
        copy = Path(shutil.copytree(folder, tmp_path / file.stem))
        np.save(copy / file.name, FORGED[how](np.load(file)))
        sign(copy)
        with pytest.raises(ArtifactError) as raised:
            load_model(artifacts.read(copy))
        assert str(copy) in str(raised.value)


def used(model: Any) -> None:
    """What asks every kernel of a model."""
    for exclude_seen in (True, False):
        model.recommend(histories(model), 3, exclude_seen=exclude_seen)
    if not hasattr(model, "with_threads") and hasattr(model, "neighbours"):
        model.neighbours(np.arange(2), 2)


@pytest.mark.parametrize("value", [-1, 2**31 - 1, -(2**31), LARGEST, -LARGEST - 1], ids=str)
def test_integers_out_of_range_are_refused_or_harmless(folder: Path, value: int, tmp_path: Path) -> None:
    """Each whole number of an array in turn, at its begin, middle and end: refused, or harmless."""
    for file in sorted(folder.glob("*.npy")):
        array = np.load(file)
        if array.dtype.kind != "i" or not np.iinfo(array.dtype).min <= value <= np.iinfo(array.dtype).max:
            continue
        for at in {0, array.size // 2, array.size - 1}:
            copy = Path(shutil.copytree(folder, tmp_path / f"{file.stem}-{at}"))
            forged = array.copy()
            forged.reshape(-1)[at] = value
            np.save(copy / file.name, forged)
            sign(copy)
            try:
                model: Model = load_model(artifacts.read(copy))
            except ArtifactError:
                continue
            used(model)


@pytest.mark.parametrize("name", ["sknn", "two-tower"])
def test_offsets_whose_differences_overflow_are_refused(name: str, tmp_path: Path) -> None:
    """2⁶³ − 1 and −2⁶³ follow each other at a distance of 1, as int64 has it."""
    save_model(train(name, {"users": True} if name == "two-tower" else {}), tmp_path / "x", {})
    for file in (tmp_path / "x").glob("*offsets.npy"):
        offsets = np.load(file)
        offsets[1:4] = LARGEST, -LARGEST - 1, -1
        np.save(file, offsets)
        sign(tmp_path / "x")
        with pytest.raises(ArtifactError, match="must ascend from 0"):
            load_model(artifacts.read(tmp_path / "x"))


def test_a_forged_index_of_sessions_is_refused_or_harmless(tmp_path: Path) -> None:
    """FAISS reads it out of an array: it is walked through first, as the files of indexes are."""
    save_model(train("sknn", {"candidates": "ann", "sample": 0}), tmp_path / "x", {})
    stored = np.load(tmp_path / "x" / "faiss.npy")
    for at in range(4, len(stored), 7):
        forged = stored.copy()
        forged[at : at + 4] = 255
        np.save(tmp_path / "x" / "faiss.npy", forged)
        sign(tmp_path / "x")
        try:
            model = load_model(artifacts.read(tmp_path / "x"))
        except ArtifactError as e:
            assert "\n" not in str(e)
            continue
        model.recommend(histories(model), 3)
    np.save(tmp_path / "x" / "faiss.npy", np.concatenate([np.frombuffer(b"IxXX", np.uint8), stored[4:]]))
    sign(tmp_path / "x")
    with pytest.raises(ArtifactError, match="cannot be of the type IxXX"):
        load_model(artifacts.read(tmp_path / "x"))


def test_negative_counts_are_refused(sessions: Any) -> None:
    with pytest.raises(DataError, match="counts of a vocabulary must not be negative, but one is -1"):
        sessions.vocab.with_counts(np.full(len(sessions.vocab), -1))
