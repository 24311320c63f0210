"""Checks of the files that an experiment reads and writes, in a run and in a plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import DataError, SettingsError
from embedrec.experiments.parse import read_experiment
from embedrec.experiments.runner import plan, run_experiment, step_context
from embedrec.storage.workspace import Workspace
from tests.experiments.conftest import LIGHT

BOTH = pytest.mark.parametrize("call", [plan, run_experiment])


def error_of(call: Callable[..., Any], folder: Path, text: str, data: Path) -> str:
    """The error message of an experiment in `folder`, which is also its workspace; nothing else may be written."""
    (folder / "study.toml").write_text(text)
    experiment = read_experiment(folder / "study.toml", data=str(data))
    before = sorted(f.name for f in folder.iterdir())
    with pytest.raises((SettingsError, DataError)) as error:
        call(experiment, step_context(experiment, Workspace(folder)))
    assert sorted(f.name for f in folder.iterdir()) == before and (folder / "study.toml").read_text() == text
    return str(error.value)


def written_to(file: str) -> str:
    """LIGHT with another export file, of any extension."""
    return LIGHT.replace('"similar.txt"', f'"{file}"\nformat = "text"')


@BOTH
def test_the_experiments_file_is_not_overwritten(call: Any, tmp_path: Path, toy_mpd: Path) -> None:
    for name in ("study.toml", "./study.toml"):
        message = error_of(call, tmp_path, written_to(name), toy_mpd)
        assert message == (
            f"step export {name} would overwrite {tmp_path}/study.toml, an input of the experiment; rename it"
        )
    message = error_of(call, tmp_path, LIGHT + '[report]\nfile = "study.toml"\n', toy_mpd)
    assert message.startswith("step report would overwrite ")


@BOTH
def test_the_data_are_not_overwritten(call: Any, tmp_path: Path, toy_mpd: Path) -> None:
    (file,) = (toy_mpd / "train").iterdir()
    (tmp_path / "lists.json").write_bytes(file.read_bytes())
    text = written_to("lists.json").replace("{data}/train", "{data}/lists.json")
    assert error_of(call, tmp_path, text, tmp_path).startswith("step export lists.json would overwrite ")
    (tmp_path / "same.json").symlink_to("lists.json")
    assert error_of(call, tmp_path, text.replace('file = "lists', 'file = "same'), tmp_path).startswith("step export s")


@BOTH
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("{data}/trian", "no file or folder {data}/trian, which [prepare] reads; did you mean 'train'?"),
        ("none/at/all", "no file or folder none/at/all, which [prepare] reads; check the path"),
        ("{data}/train/*.csv", "no file matches {data}/train/*.csv in [prepare]; check the path"),
    ],
)
def test_missing_data_are_named(call: Any, tmp_path: Path, toy_mpd: Path, path: str, message: str) -> None:
    refusal = error_of(call, tmp_path, LIGHT.replace('"{data}/train"', f'"{{data}}/train", "{path}"'), toy_mpd)
    assert refusal == message.format(data=toy_mpd)


@BOTH
def test_a_missing_held_out_part_is_named(call: Any, tmp_path: Path) -> None:
    (tmp_path / "train.csv").touch()
    text = '[prepare]\nsource = "sessions"\npaths = ["{data}/train.csv"]\ntest = "{data}/tset.csv"\n'
    assert error_of(call, tmp_path, text, tmp_path).startswith(f"no file or folder {tmp_path}/tset.csv, which")


def test_a_pattern_that_matches_is_accepted(tmp_path: Path, toy_mpd: Path) -> None:
    (tmp_path / "study.toml").write_text(LIGHT.replace("{data}/train", "{data}/tr*/*.json"))
    experiment = read_experiment(tmp_path / "study.toml", data=str(toy_mpd))
    assert {p.does for p in plan(experiment, step_context(experiment, Workspace(tmp_path)))} == {"run"}
