"""A fusion is renewed by its parts: these continue, and its weights stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data.sessions import Sessions
from embedrec.models.baselines.rules import SequentialRules
from embedrec.models.serialization import load_model, part_artifacts
from embedrec.ranking.fusion import Fusion
from embedrec.ranking.part_training import PartStore
from embedrec.storage.artifacts import Artifact
from embedrec.storage.workspace import Workspace
from embedrec.training.context import TrainingContext
from embedrec.workflows.refresh import composites
from embedrec.workflows.refresh.run import refresh
from embedrec.workflows.refresh.settings import RefreshSettings
from embedrec.workflows.train import train_model
from embedrec.workflows.unused_parts import remove_unused_parts
from tests.workflows.refresh.nights import night_file

LOOSE = RefreshSettings(gate=False, validate=False)
PARTS = ("word2vec", "sr", "mf")


@pytest.fixture
def fused(shop: Workspace) -> Artifact:
    """A fusion of the model word2vec of the workspace, and of two parts that only it has."""
    recipe = Fusion("word2vec=9,sr=9,mf=9", {"mf": {"dim": 4, "epochs": 2}}, window=0.3)
    context = TrainingContext(force=True)
    return train_model(recipe, shop.find("sessions"), shop.folder("model", "fusion"), context=context)


def test_parts_continue_and_weights_stay(
    fused: Artifact, shop: Workspace, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = dict(zip(PARTS, part_artifacts(fused).values(), strict=True))
    before: Any = load_model(fused)

    def fails(*_: object, **__: object) -> None:
        raise AssertionError("a part is trained from scratch")

    monkeypatch.setattr(PartStore, "train", fails)
    assert refresh(shop, [night], LOOSE).switched
    renewed = shop.find("model", "fusion")
    after: Any = load_model(renewed)
    new = dict(zip(PARTS, part_artifacts(renewed).values(), strict=True))
    for name, part in new.items():
        assert part.about["continued_from"]["fingerprint"] == old[name].fingerprint
    assert new["word2vec"].digest == shop.find("model", "word2vec").digest
    sessions = Sessions.load(shop.find("sessions"))
    rules = SequentialRules(**before.recipe.part_settings(sessions)[1].recipe.get_params()).fit(
        sessions, seed=0, threads=1
    )
    for name, array in rules.arrays.items():
        assert np.array_equal(load_model(new["sr"]).arrays[name], array)
    assert np.array_equal(after.arrays["weights"], before.arrays["weights"])
    assert "new4" in after.vocab.ids.tolist() and after.recipe == before.recipe
    assert renewed.about["trained_on"]["fingerprint"] == shop.find("sessions").fingerprint
    histories = Sessions.of_lists([["i1"], ["new4", "i3"]], after.vocab)
    assert (after.recommend(histories, 5).rows >= 0).all()


def test_the_next_night_continues_these_parts(fused: Artifact, shop: Workspace, night: Path, tmp_path: Path) -> None:
    refresh(shop, [night], LOOSE)
    first = part_artifacts(shop.find("model", "fusion"))
    refresh(shop, [night_file(tmp_path, 5)], LOOSE)
    remove_unused_parts(shop)
    second = part_artifacts(shop.find("model", "fusion"))
    for one, other in zip(first.values(), second.values(), strict=True):
        assert other.about["continued_from"]["fingerprint"] == one.fingerprint
    assert load_model(shop.find("model", "fusion")).recommend(Sessions.of_lists([["new5"]]), 3).rows.shape == (1, 3)


def test_a_killed_refresh_keeps_the_parts_it_has_trained(
    fused: Artifact, shop: Workspace, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []
    train = composites.train_model

    def counted(recipe: Any, *given: Any, **more: Any) -> Artifact:
        trained.append(recipe.name)
        return train(recipe, *given, **more)

    monkeypatch.setattr(composites, "train_model", counted)
    with monkeypatch.context() as patch:

        def killed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(composites, "save_model", killed)
        with pytest.raises(KeyboardInterrupt):
            refresh(shop, [night], LOOSE)
    assert refresh(shop, [night], LOOSE).switched and trained == ["sr", "mf"]
