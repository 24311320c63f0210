"""Warm starts of model artifacts: what is continued, with which settings, and from which sessions."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.models import MODELS, recipe_class
from embedrec.models.baselines.popular import Popular
from embedrec.models.baselines.random import Random
from embedrec.models.cooccurrence.cooccurrence import Cooccurrence
from embedrec.models.cooccurrence.svd import Spectral
from embedrec.models.serialization import load_model
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.workflows.lineage import provenance
from embedrec.workflows.train import recipe_of, train_model
from embedrec.workflows.warm_start import WarmStart, continuing_settings, first_settings
from tests.conftest import of_lists

SMALL = Word2Vec(min_count=1, dim=4, epochs=2, sample=0.0)


def test_a_warm_start_records_the_first_model(prepared: Artifact, tmp_path: Path) -> None:
    first = train_model(SMALL, prepared, tmp_path / "m")
    second = train_model(SMALL, prepared, tmp_path / "again", start=WarmStart(first))
    assert second.about["continued_from"] == provenance(first)
    assert second.fingerprint != first.fingerprint
    popular = train_model(Popular(), prepared, tmp_path / "p")
    with pytest.raises(SettingsError, match="word2vec cannot continue from p, which is a model of another kind"):
        train_model(SMALL, prepared, tmp_path / "again", start=WarmStart(popular))
    with pytest.raises(SettingsError, match="random does not support warm starts; leave --from out"):
        train_model(Random(), prepared, tmp_path / "again", start=WarmStart(first))
    assert artifacts.read(tmp_path / "again").fingerprint == second.fingerprint


def test_a_continued_model_keeps_the_settings_of_the_first(prepared: Artifact, tmp_path: Path) -> None:
    """Less training is enough from a model, not from scratch."""
    first = train_model(replace(SMALL, epochs=5), prepared, tmp_path / "m")
    assert "first_settings" not in first.about
    for name in ("second", "third"):
        few = recipe_of(Word2Vec, None, ["epochs=1"], continuing_settings(Word2Vec, first))
        continued = train_model(few, prepared, tmp_path / name, start=WarmStart(first))
        assert continued.about["settings"]["epochs"] == 1
        assert first_settings(continued) == continued.about["first_settings"] == first_settings(first)
        assert first_settings(continued)["epochs"] == 5
        first = continued


def test_a_warm_start_has_its_own_default_settings(prepared: Artifact, tmp_path: Path) -> None:
    long = Word2Vec(min_count=1, dim=4, epochs=30, alpha=0.05, min_alpha=0.01, window=3)
    first = train_model(long, prepared, tmp_path / "m")
    base = continuing_settings(Word2Vec, first)
    continued = recipe_of(Word2Vec, None, [], base)
    assert continued == replace(load_model(first).recipe, epochs=2, alpha=0.005, min_alpha=0.005)  # type: ignore[type-var]
    given = recipe_of(Word2Vec, None, ["epochs=7", "alpha=.02"], base)
    assert (given.epochs, given.alpha, given.window) == (7, 0.02, 3)
    careful = replace(long, epochs=1, alpha=0.001, min_alpha=0.0001)
    assert careful.continuing() == careful
    counted = train_model(Cooccurrence(top=3), prepared, tmp_path / "c")
    assert recipe_of(Cooccurrence, None, [], continuing_settings(Cooccurrence, counted)) == Cooccurrence(top=3)


@pytest.mark.parametrize("name", [name for name, entry in MODELS.items() if not entry.warm_start])
def test_models_without_warm_starts_refuse_them(prepared: Artifact, tmp_path: Path, name: str) -> None:
    first = train_model(Popular(), prepared, tmp_path / "p")
    with pytest.raises(SettingsError, match=f"^{name} does not support warm starts; leave --from out"):
        continuing_settings(recipe_class(name), first)


def save(workspace: Workspace, name: str, lists: list[str]) -> Artifact:
    folder = workspace.folder("sessions", name)
    of_lists(lists).save(folder, {})
    return artifacts.read(folder, "sessions")


SVD = Spectral(dim=2, min_count=1)


def test_the_training_is_told_what_has_changed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    model = train_model(SVD, save(workspace, "s", ["ab", "bc"]), workspace.folder("model", "m"))
    newer = save(workspace, "newer", ["ab", "bcd", "de"])
    start = WarmStart.of(workspace, model)
    assert start.sessions is not None and start.sessions.name == "s"
    given = start.arguments(SVD, Sessions.load(newer))
    assert set(given) == {"init", "changes"} and given["init"].recipe == SVD
    assert given["changes"].added.tolist() == [1, 2] and given["changes"].removed.tolist() == [1]
    assert set(start.arguments(SVD, Sessions.load(newer), compare=False)) == {"init"}
    assert train_model(SVD, newer, tmp_path / "further", start=start).about["trained_on"] == provenance(newer)


def test_counts_are_those_of_a_full_training(tmp_path: Path) -> None:
    """Nothing of the earlier model is loaded."""
    workspace = Workspace(tmp_path)
    model = train_model(Cooccurrence(), save(workspace, "s", ["ab", "bc"]), workspace.folder("model", "m"))
    newer = save(workspace, "newer", ["ab", "bcd", "de"])
    shutil.rmtree(workspace.folder("sessions", "s"))
    start = WarmStart.of(workspace, model, no_report)
    assert start == WarmStart(model) and start.arguments(Cooccurrence(), Sessions.load(newer)) == {}
    increment = train_model(Cooccurrence(), newer, tmp_path / "increment", start=start)
    assert increment.fingerprint == train_model(Cooccurrence(), newer, tmp_path / "full").fingerprint
    assert increment.about["continued_from"] == provenance(model)


def no_report(event: str, **numbers: Any) -> None:
    raise AssertionError(event)


def test_without_the_sessions_of_the_model_all_are_new(tmp_path: Path) -> None:
    workspace, messages = Workspace(tmp_path), []

    def report(event: str, **numbers: Any) -> None:
        messages.append(numbers["message"])

    model = train_model(SVD, save(workspace, "s", ["ab", "bc"]), workspace.folder("model", "m"))
    newer = save(workspace, "s", ["ab", "bcd"])
    start = WarmStart.of(workspace, model, report)
    assert start.sessions is None and set(start.arguments(SVD, Sessions.load(newer))) == {"init"}
    shutil.rmtree(newer.folder)
    assert WarmStart.of(workspace, model, report).sessions is None
    assert messages == ["the sessions that m was trained on are gone; all sessions count as new"] * 2
