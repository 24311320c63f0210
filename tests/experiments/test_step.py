"""Steps of an experiment: TOML keys, paths, and the digests that identify inputs and outputs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from embedrec.errors import SettingsError
from embedrec.experiments.step import (
    NO_KEY,
    ArtifactStep,
    Links,
    SessionsStep,
    StepContext,
    check_keys,
    digest,
    existing_files,
    fingerprints,
    from_table,
    identity,
    toml_keys,
)
from embedrec.storage import artifacts
from embedrec.storage.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Model(ArtifactStep):
    """A step with two keys of its own."""

    kind: ClassVar[str] = "train"
    artifact: ClassVar[str] = "model"
    recipe: str
    epochs: int = 5
    computed: int = field(default=0, metadata=NO_KEY)


@dataclass(frozen=True, kw_only=True)
class Sessions(SessionsStep):
    kind: ClassVar[str] = "prepare"


def test_a_step_lists_its_keys() -> None:
    assert sorted(toml_keys(Model)) == ["epochs", "name", "recipe"]
    assert toml_keys(Sessions) == ["name"]


def test_a_step_is_built_from_its_table(tmp_path: Path) -> None:
    links = Links(sessions="plays", after=("split",))
    step = from_table(Model, {"recipe": "word2vec", "name": "w"}, "[[train]]", links=links, computed=7)
    assert step == Model(recipe="word2vec", name="w", links=links, computed=7)
    assert (step.id, step.output, step.after) == ("train w", "w", ("split",))
    assert step.settings() == {"name": "w", "recipe": "word2vec", "epochs": 5}
    assert step.files() == {}
    context = StepContext(Workspace(tmp_path), tmp_path / "studies" / "small")
    assert step.path(context) == tmp_path / "models" / "w"


def test_an_experiment_has_one_step_of_sessions_of_each_kind(tmp_path: Path) -> None:
    step = Sessions(name="plays", options={"gap": "1h"})
    assert (step.id, step.output, step.settings()) == ("prepare", "plays", {"name": "plays"})
    assert step.path(StepContext(Workspace(tmp_path), tmp_path)) == tmp_path / "sessions" / "plays"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"recipe": "ar", "epoch": 1}, "unknown setting 'epoch' in [[train]]; did you mean 'epochs'?"),
        ({"recipe": "ar", "computed": 1}, "unknown setting 'computed' in [[train]]; valid are "),
        ({"epochs": 1}, "the setting 'recipe' is missing in [[train]]"),
        ({"recipe": "ar", "epochs": "many"}, "setting 'epochs' in [[train]] must be a whole number, but is 'many'"),
    ],
)
def test_invalid_tables_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        from_table(Model, table, "[[train]]")
    assert str(error.value).startswith(message)


def test_unknown_keys_without_a_near_miss_list_the_valid_ones() -> None:
    check_keys(["rule"], ["rule", "seed"], "[split]")
    with pytest.raises(SettingsError) as error:
        check_keys(["rule", "zzz"], ["rule", "seed"], "[split]")
    assert str(error.value) == "unknown setting 'zzz' in [split]; valid are rule, seed"


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    values = [{"a": 1, "b": [1, 2]}, {"a": 1, "b": [2, 1]}, {"a": "1", "b": [1, 2]}, {}, [], None, "é"]
    assert len({digest(value) for value in values}) == len(values)


def test_files_folders_and_patterns_have_fingerprints(tmp_path: Path) -> None:
    for name in ("in/a.csv", "in/sub/b.csv", "in/c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (1, 1))
    paths = [str(tmp_path / path) for path in ("in", "in/a.csv", "in/*.csv", "in/none.csv")]
    before = fingerprints(paths)
    assert list(before) == paths and before == fingerprints(paths)
    changes = {}
    for name in ("in/a.csv", "in/sub/b.csv", "in/c.txt"):
        os.utime(tmp_path / name, (2, 2))
        after = fingerprints(paths)
        changes[name] = [path.removeprefix(f"{tmp_path}/") for path in paths if after[path] != before[path]]
        os.utime(tmp_path / name, (1, 1))
    assert changes == {"in/a.csv": ["in", "in/a.csv", "in/*.csv"], "in/sub/b.csv": ["in"], "in/c.txt": ["in"]}
    (tmp_path / "in" / "none.csv").touch()
    assert fingerprints(paths)[paths[3]] != before[paths[3]]


def test_the_identity_of_a_file_is_its_content(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "same.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    one, same, other = (identity(tmp_path / name) for name in ("a.txt", "same.txt", "b.txt"))
    assert one == same != other
    assert identity(tmp_path / "none.txt") is None


def write_model(folder: Path, content: str, **manifest: Any) -> str | None:
    """The identity of a new artifact of a model."""
    with artifacts.writing(folder, "model", manifest) as draft:
        draft.path("vectors.txt").write_text(content)
    return identity(folder)


def test_the_identity_of_an_artifact_excludes_times(tmp_path: Path) -> None:
    """Files and settings count; the time of training does not; a file of another length is damage."""
    settings: dict[str, Any] = {"recipe": "ar", "settings": {"steps": 3}}
    one = write_model(tmp_path / "one", "abc", **settings, seconds=1.0)
    assert one == write_model(tmp_path / "two", "abc", **settings, seconds=2.0)
    assert one != write_model(tmp_path / "three", "abd", **settings)
    assert one != write_model(tmp_path / "four", "abc", recipe="ar", settings={"steps": 4})
    (tmp_path / "one" / "vectors.txt").write_text("abcd")
    assert identity(tmp_path / "one") is None
    (tmp_path / "two" / "vectors.txt").unlink()
    assert identity(tmp_path / "two") is None


def test_settings_that_name_existing_files_are_inputs(tmp_path: Path) -> None:
    (tmp_path / "items.csv").touch()
    settings = {"features": str(tmp_path / "items.csv"), "other": str(tmp_path / "no.csv"), "empty": "", "n": 3}
    assert existing_files({**settings, "folder": str(tmp_path)}) == [str(tmp_path / "items.csv"), str(tmp_path)]
