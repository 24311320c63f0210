from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.data import Sessions, Vocab
from embedrec.data.features import Features
from embedrec.errors import ArtifactError, DataError
from embedrec.splitting.holdout import HeldOut
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from tests.conftest import of_lists, read_only, tiny_sessions
from tests.data.plain import plain_of, plain_sessions, sessions_of


def write_parts(folder: Path, train: Sessions, test: HeldOut) -> Artifact:
    with artifacts.writing(folder, "sessions", {}) as draft:
        train.write(draft)
        test.write(draft)
    return artifacts.read(folder, "sessions")


@pytest.mark.parametrize("given", [[], [1], [0] * 13, 1, [[0] * 12]])
def test_given_needs_a_number_per_session(given: object) -> None:
    shape = np.asarray(given).shape
    with pytest.raises(DataError) as error:
        HeldOut(tiny_sessions(), np.asarray(given))
    assert str(error.value) == f"`given` needs 12 numbers, one per held-out session, but has shape {shape}"


@pytest.mark.parametrize("given", [-1, 3])
def test_given_is_at_most_the_length_of_the_session(given: int) -> None:
    sessions = of_lists(["ab", ""])
    assert len(HeldOut(sessions, np.array([2, 0]))) == 2
    for lengths in ([given, 0], [0, given]):
        with pytest.raises(DataError) as error:
            HeldOut(sessions, np.array(lengths))
        message = "`given` must be from 0 to the length of its held-out session; check it"
        assert str(error.value) == message


def test_given_may_be_empty_or_of_another_integer_type() -> None:
    assert len(HeldOut(of_lists([]), np.zeros(0))) == 0
    assert HeldOut(of_lists(["ab"]), np.array([1], dtype=np.uint8)).given.dtype == np.int64


@given(train=plain_sessions(), test=plain_sessions(), data=st.data())
def test_loaded_parts_equal_the_saved_ones(train: list, test: list, data: st.DataObject, tmp_path: Path) -> None:
    held = HeldOut(sessions_of(test), read_only(np.array([data.draw(st.integers(0, len(p.events))) for p in test])))
    artifact = write_parts(tmp_path / "s", sessions_of(train, more=("x",) if not train else ()), held)
    artifact.check()
    loaded = HeldOut.load(artifact)
    assert loaded is not None
    assert plain_of(Sessions.load(artifact)) == train
    assert plain_of(loaded.sessions) == test
    assert loaded.sessions.vocab.ids.tolist() == held.sessions.vocab.ids.tolist()
    assert loaded.given.tolist() == held.given.tolist()


def test_features_of_the_held_out_part_are_loaded(tmp_path: Path) -> None:
    sessions = of_lists(["ab"])
    features = Features(Vocab(["b"]), {"year": np.array([1999.0])})
    with_features = Sessions(sessions.offsets, sessions.items, sessions.vocab, sessions.ids, item_features=features)
    loaded = HeldOut.load(write_parts(tmp_path / "s", sessions, HeldOut(with_features, np.array([1]))))
    assert loaded is not None and loaded.sessions.item_features is not None
    assert loaded.sessions.item_features.numeric["year"].tolist() == [1999.0]
    assert Sessions.load(artifacts.read(tmp_path / "s")).item_features is None


def test_an_artifact_without_a_held_out_part_has_none(tmp_path: Path) -> None:
    tiny_sessions().save(tmp_path / "s", {})
    assert HeldOut.load(artifacts.read(tmp_path / "s")) is None


@pytest.mark.parametrize("name", ["offsets", "items", "vocab", "sessions", "given"])
def test_inconsistent_files_of_the_held_out_part_are_refused(name: str, tmp_path: Path) -> None:
    complete = write_parts(tmp_path / "whole", tiny_sessions(), HeldOut(tiny_sessions(), np.zeros(12)))
    small = tiny_sessions(["ab", "xyz"])
    other = write_parts(tmp_path / "other", small, HeldOut(small, np.zeros(2)))
    file = next(f for f in complete.files if f.startswith(f"test_{name}."))
    with artifacts.writing(tmp_path / "mixed", "sessions", {}) as draft:
        for artifact, names in ((complete, set(complete.files) - {file}), (other, {file})):
            for one in names:
                draft.path(one).write_bytes((artifact.folder / one).read_bytes())
    with pytest.raises(ArtifactError, match=r"mixed cannot be opened \(.*\); prepare the data again"):
        HeldOut.load(artifacts.read(tmp_path / "mixed"))
    if name == "given":
        return  # without it there is no such part
    with artifacts.writing(tmp_path / "without", "sessions", {}) as draft:
        for one in set(complete.files) - {file}:
            draft.path(one).write_bytes((complete.folder / one).read_bytes())
    with pytest.raises(ArtifactError, match=f"has no file '{file}' in its manifest"):
        HeldOut.load(artifacts.read(tmp_path / "without"))
