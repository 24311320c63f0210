"""Artifacts of earlier versions load, and give the results that were recorded then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from embedrec.storage import artifacts
from embedrec.workflows.verify import verify_artifact
from tests.golden.make import HERE, answers, make

FOLDERS = sorted(HERE.glob("format*"))
LATER: dict[str, set[str]] = {
    "sessions": set(),
    "model": set(),
    "index": {"ef_search", "rerank", "longest"},
}  # may be missing
LATER_FILES = {  # likewise; models/word2vec-contexts has the first two
    "models/word2vec": {"context.npy", "mentions.npy", "chosen_popularity.npy"},
    "models/word2vec-contexts": {"chosen_popularity.npy"},
}


def test_every_format_has_a_folder_of_artifacts() -> None:
    assert [f.name for f in FOLDERS] == [f"format{n}" for n in range(1, artifacts.FORMAT + 1)]
    files = [f for folder in FOLDERS for f in folder.rglob("*") if f.is_file()]
    assert sum(f.stat().st_size for f in files) < 100_000 * len(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_old_artifacts_give_the_recorded_results(folder: Path) -> None:
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    result = json.loads(json.dumps(answers(folder)))
    assert result.keys() == expected.keys()
    for name, answers_of_artifact in expected.items():
        for key, value in answers_of_artifact.items():
            if key == "scores":
                assert result[name][key] == [pytest.approx(row, abs=2e-6) for row in value], name
            elif key == "settings":  # later versions may have more of them
                assert value.items() <= result[name][key].items(), name
            else:
                assert result[name][key] == value, (name, key)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_old_artifacts_pass_verification(folder: Path) -> None:
    for artifact in folder.glob("*/*"):
        assert verify_artifact(artifact) is None


def test_new_artifacts_have_the_files_and_fields_of_the_latest_format(tmp_path: Path) -> None:
    """Same artifacts, same files, same fields: a change of the format needs a new number and a new folder."""
    make(tmp_path)

    def shape(root: Path) -> dict[str, Any]:
        found = {str(a.folder.relative_to(root)): a for a in map(artifacts.read, sorted(root.glob("*/*")))}
        return {
            place: (sorted(set(a.files) - LATER_FILES.get(place, set())), sorted(a.about.keys() - LATER[a.kind]))
            for place, a in found.items()
        }

    assert shape(tmp_path) == shape(FOLDERS[-1])
