"""Patterns match the paths of `glob` once each, and the number of searched folders is limited."""

from __future__ import annotations

import glob
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedrec.errors import DataError
from embedrec.experiments.step import fingerprints
from embedrec.tabular import globs
from embedrec.tabular.globs import expand_glob, files_below
from embedrec.tabular.source_files import expand

FILES = ["a.csv", "b.txt", ".hidden.csv", "x/a.csv", "x/y/a.csv", "x/y/z/b.csv", ".git/a.csv"]
FILES += ["x/.h/a.csv", "y/x/a.csv"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("1")
    (folder / "x" / "broken.csv").symlink_to("nowhere")
    return folder


@given(st.lists(st.sampled_from(["**", "*", "x", "y", "?", "*.csv", "a.csv", "[xy]", "none"]), min_size=1, max_size=4))
def test_patterns_match_the_paths_of_glob(tree: Path, parts: list[str]) -> None:
    pattern = "/".join([str(tree), *parts])
    expected = {Path(p) for p in glob.glob(pattern, recursive=True)}  # noqa: PTH207
    result = expand_glob(pattern)
    assert set(result) == expected
    assert len(set(result)) == len(result) or "**" not in parts


def test_folders_contain_visible_files_of_any_depth(tree: Path) -> None:
    shown = {tree / name for name in FILES if not any(part.startswith(".") for part in Path(name).parts)}
    assert set(files_below(tree)) == shown
    assert {s.path for s in expand([tree], [".csv"])} == {f for f in shown if f.suffix == ".csv"}


def test_circular_links_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.csv").write_text("1")
    (tmp_path / "x" / "up").symlink_to("..")
    (tmp_path / "x" / "here").symlink_to(".")
    assert expand_glob(f"{tmp_path}/**/*.csv") == [tmp_path / "x" / "a.csv"]
    assert files_below(tmp_path) == [tmp_path / "x" / "a.csv"]


def test_more_folders_than_the_limit_are_refused(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(globs, "MAX_LINKS", 3)
    for path in (f"{tree}/**/x*.csv", str(tree)):
        with pytest.raises(DataError, match="covers more than 3 folders; name the folder of the data"):
            expand([path], [".csv"])


def test_changed_files_change_the_fingerprint_of_a_pattern(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "y" / "a.csv").write_text("1")
    pattern = f"{tmp_path}/**/a.csv"
    before = fingerprints([pattern])
    (tmp_path / "x" / "y" / "a.csv").write_text("12")
    assert fingerprints([pattern]) != before
