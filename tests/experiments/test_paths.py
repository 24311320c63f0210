"""Files that a study reads and writes: told before anything is done, in a run and where one is planned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embedrec.errors import DataError, SettingsError
from embedrec.experiments.parse import read_study
from embedrec.experiments.runner import carry_out, plan, where
from embedrec.storage.workspace import Workspace
from tests.experiments.conftest import LIGHT

BOTH = pytest.mark.parametrize("asked", [plan, carry_out])


def refused(asked: Callable[..., Any], folder: Path, text: str, data: Path) -> str:
    """What a study in `folder`, which is its workspace too, is refused with; nothing else is written there."""
    (folder / "study.toml").write_text(text)
    study = read_study(folder / "study.toml", data=str(data))
    before = sorted(f.name for f in folder.iterdir())
    with pytest.raises((SettingsError, DataError)) as error:
        asked(study, where(study, Workspace(folder)))
    assert sorted(f.name for f in folder.iterdir()) == before and (folder / "study.toml").read_text() == text
    return str(error.value)


def written_to(file: str) -> str:
    """LIGHT, its export written to another file, whatever its name ends with."""
    return LIGHT.replace('"similar.txt"', f'"{file}"\nformat = "text"')


@BOTH
def test_the_study_is_not_written_over(asked: Any, tmp_path: Path, toy_mpd: Path) -> None:
    for name in ("study.toml", "./study.toml"):
        said = refused(asked, tmp_path, written_to(name), toy_mpd)
        assert said == (
            f"step export {name} would write over {tmp_path}/study.toml, which the study is read from; rename it"
        )
    said = refused(asked, tmp_path, LIGHT + '[report]\nfile = "study.toml"\n', toy_mpd)
    assert said.startswith("step report would write over ")


@BOTH
def test_nor_are_its_data(asked: Any, tmp_path: Path, toy_mpd: Path) -> None:
    (file,) = (toy_mpd / "train").iterdir()
    (tmp_path / "lists.json").write_bytes(file.read_bytes())
    text = written_to("lists.json").replace("{data}/train", "{data}/lists.json")
    assert refused(asked, tmp_path, text, tmp_path).startswith("step export lists.json would write over ")
    (tmp_path / "same.json").symlink_to("lists.json")
    assert refused(asked, tmp_path, text.replace('file = "lists', 'file = "same'), tmp_path).startswith("step export s")


@BOTH
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("{data}/trian", "there is no file or folder {data}/trian, which [prepare] names; did you mean 'train'?"),
        ("none/at/all", "there is no file or folder none/at/all, which [prepare] names; check the path"),
        ("{data}/train/*.csv", "no file fits {data}/train/*.csv, which [prepare] names; check the path"),
    ],
)
def test_data_that_are_not_there(asked: Any, tmp_path: Path, toy_mpd: Path, path: str, message: str) -> None:
    said = refused(asked, tmp_path, LIGHT.replace('"{data}/train"', f'"{{data}}/train", "{path}"'), toy_mpd)
    assert said == message.format(data=toy_mpd)


@BOTH
def test_a_held_out_part_that_is_not_there(asked: Any, tmp_path: Path) -> None:
    (tmp_path / "train.csv").touch()
    text = '[prepare]\nsource = "sessions"\npaths = ["{data}/train.csv"]\ntest = "{data}/tset.csv"\n'
    assert refused(asked, tmp_path, text, tmp_path).startswith(f"there is no file or folder {tmp_path}/tset.csv, which")


def test_a_pattern_is_there(tmp_path: Path, toy_mpd: Path) -> None:
    (tmp_path / "study.toml").write_text(LIGHT.replace("{data}/train", "{data}/tr*/*.json"))
    study = read_study(tmp_path / "study.toml", data=str(toy_mpd))
    assert {p.does for p in plan(study, where(study, Workspace(tmp_path)))} == {"run"}
