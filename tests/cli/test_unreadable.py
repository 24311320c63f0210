"""One artifact that cannot be read stops no command that can take another; it is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from embedrec.data import Sessions
from embedrec.storage import artifacts, atomic
from tests.cli.conftest import Run, walked


@pytest.mark.parametrize(
    "words", [["similar", "a"], ["recommend", "a"], ["export", "-", "-n", "1"]], ids=lambda w: w[0]
)
def test_another_is_taken(words: list[str], run: Run, damaged_model: Path) -> None:
    ran = walked(run, *words)
    assert ran.out
    assert ran.err.startswith(
        "using model cooccurrence (models/cooccurrence)\n"
        "model torn is passed over: models/torn/manifest.json is damaged (Expecting property name"
    )
    named = walked(run, *words, "--model", "cooccurrence")
    assert "torn" not in named.err
    assert run(*words, "--model", "torn").err.startswith("embedrec: models/torn/manifest.json is damaged")


def test_a_damaged_model_is_not_trained_again(run: Run, damaged_model: Path) -> None:
    """Its name is that of a recipe too, of which nothing is trained."""
    Path("models/torn").rename("models/ar")
    ran = run("compare", "ar", "cooccurrence", "--split", "last-item", "--at", 2)
    assert (ran.code, ran.out) == (1, "") and ran.err.splitlines()[-1].startswith(
        "embedrec: models/ar/manifest.json is"
    )


def test_where_there_is_no_other(run: Run, damaged_model: Path) -> None:
    shutil.rmtree("models/cooccurrence")
    for words in (["recommend", "a"], ["build-index"]):
        ran = run(*words)
        assert ran.code == 1 and ran.err.splitlines()[-1].startswith("embedrec: models/torn/manifest.json is damaged (")


def test_artifacts_that_say_little(run: Run, counted: Path) -> None:
    """Those that are saved through the API say what they were told to."""
    Sessions.load(Path("sessions/log")).save(Path("sessions/plain"), {})
    assert ["sessions", "plain"] in [row[:2] for row in walked(run, "info").rows]
    assert json.loads(walked(run, "info", "plain", "--json").out)["name"] == "plain"


def test_what_nobody_can_tell_of_is_named(run: Run, counted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = Path("models/.x.1-00000000.unlocked")
    left.mkdir()
    for words in (["info"], ["verify"]):
        assert f"{left} belongs to a running or a killed command" in walked(run, *words).err
    assert left.is_dir() and atomic.sweep(Path("models")) == [left]
    assert artifacts.read(Path("models/cooccurrence")).name == "cooccurrence"
