"""The ids of spaces."""

from __future__ import annotations

from typing import Any

from embedrec.storage import artifacts
from embedrec.vectors.space import short, space_of


def made(tmp_path: Any, kind: str, name: str, **about: Any) -> artifacts.Artifact:
    with artifacts.writing(tmp_path / name, kind, about) as draft:
        draft.path("x.txt").write_text(name)
    return artifacts.read(tmp_path / name)


def test_a_model_starts_a_space_unless_it_names_one(tmp_path: Any) -> None:
    model = made(tmp_path, "model", "m")
    aligned = made(tmp_path, "model", "a", space=space_of(model))
    again = made(tmp_path, "model", "b", space=space_of(aligned))
    assert space_of(model) == model.fingerprint
    assert space_of(aligned) == space_of(again) == model.fingerprint != aligned.fingerprint


def test_an_index_has_the_space_of_its_model(tmp_path: Any) -> None:
    indexed = {"name": "m", "fingerprint": "f" * 64, "created": ""}
    assert space_of(made(tmp_path, "index", "i", indexed=indexed)) == "f" * 64
    assert space_of(made(tmp_path, "index", "j", indexed=indexed, space="e" * 64)) == "e" * 64
    bare = made(tmp_path, "index", "k")
    assert space_of(bare) == bare.fingerprint


def test_messages_show_the_beginning_of_an_id() -> None:
    assert short("0123456789abcdef" * 4) == "0123456789ab"
