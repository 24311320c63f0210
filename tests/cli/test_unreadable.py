"""Commands skip unreadable artifacts, with a note, when they can use another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from embedrec.data import Sessions
from embedrec.storage import artifacts, atomic
from tests.cli.conftest import Run, succeed


@pytest.mark.parametrize(
    "words", [["similar", "a"], ["recommend", "a"], ["export", "-", "-n", "1"]], ids=lambda w: w[0]
)
def test_another_artifact_is_used_with_a_note(words: list[str], run: Run, damaged_model: Path) -> None:
    result = succeed(run, *words)
    assert result.out
    assert result.err.startswith(
        "using model cooccurrence (models/cooccurrence)\n"
        "model torn is skipped: models/torn/manifest.json is damaged (Expecting property name"
    )
    named = succeed(run, *words, "--model", "cooccurrence")
    assert "torn" not in named.err
    assert run(*words, "--model", "torn").err.startswith("embedrec: models/torn/manifest.json is damaged")


def test_a_damaged_model_is_not_trained_as_a_recipe_of_its_name(run: Run, damaged_model: Path) -> None:
    """The model ar is damaged, and ar is also the name of a recipe."""
    Path("models/torn").rename("models/ar")
    result = run("compare", "ar", "cooccurrence", "--split", "last-item", "--at", 2)
    assert (result.code, result.out) == (1, "") and result.err.splitlines()[-1].startswith(
        "embedrec: models/ar/manifest.json is"
    )


def test_a_damaged_artifact_without_another_is_an_error(run: Run, damaged_model: Path) -> None:
    shutil.rmtree("models/cooccurrence")
    for words in (["recommend", "a"], ["build-index"]):
        result = run(*words)
        assert result.code == 1 and result.err.splitlines()[-1].startswith(
            "embedrec: models/torn/manifest.json is damaged ("
        )


def test_artifacts_with_few_fields_in_their_manifest(run: Run, counted: Path) -> None:
    """The Python API saves artifacts with any manifest."""
    Sessions.load(Path("sessions/log")).save(Path("sessions/plain"), {})
    assert ["sessions", "plain"] in [row[:2] for row in succeed(run, "info").rows]
    assert json.loads(succeed(run, "info", "plain", "--json").out)["name"] == "plain"


def test_temporary_folders_without_a_lock_are_noted(run: Run, counted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = Path("models/.x.1-00000000.unlocked")
    temporary.mkdir()
    for words in (["info"], ["verify"]):
        assert f"{temporary} belongs to a running or a killed command" in succeed(run, *words).err
    assert temporary.is_dir() and atomic.sweep(Path("models")) == [temporary]
    assert artifacts.read(Path("models/cooccurrence")).name == "cooccurrence"
