"""The files of a search."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from embedrec.config import build
from embedrec.errors import SettingsError
from embedrec.models.session_knn.variants import SKNN
from embedrec.storage.workspace import Workspace
from embedrec.tune.journal import Journal, TrialRecord
from embedrec.tune.result import SearchFiles, write_best


def test_files_are_in_the_workspace(tmp_path: Path) -> None:
    files = SearchFiles.of(Workspace(tmp_path), "sknn")
    assert files == SearchFiles(tmp_path / "tuning" / "sknn.jsonl", tmp_path / "tuning" / "sknn.toml")
    with pytest.raises(SettingsError) as error:
        SearchFiles.of(Workspace(tmp_path), "../sknn")
    assert str(error.value) == "'../sknn' cannot name a search; use letters, digits, '.', '_' and '-'"


def test_best_settings_are_those_of_the_recipe(tmp_path: Path) -> None:
    trials = [TrialRecord(0, {}, "failed"), TrialRecord(1, {"neighbours": 7}, "done", 0.25)]
    path = tmp_path / "tuning" / "sknn.toml"
    write_best(path, Journal(tmp_path / "j", {}, trials), SKNN(neighbours=7), "mrr@5")
    text = path.read_text()
    comment = "# mrr@5 0.2500 on the validation part, the best of 2 trials: embedrec tune sknn\n\n[train.sknn]\n"
    assert text.startswith(comment)
    assert build(SKNN, tomllib.loads(text)["train"]["sknn"], source="x") == SKNN(neighbours=7)
