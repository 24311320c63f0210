"""Recommendations through an index of output vectors, against the model that scores all items."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embedrec.config import build
from embedrec.errors import SettingsError
from embedrec.index.search_settings import SearchSettings
from embedrec.models import recipe_class
from embedrec.models.session_knn.model import SessionKnnModel
from embedrec.storage.workspace import Workspace
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.recommend import open_recommender
from embedrec.workflows.train import train_model
from tests.workflows.toy_models import SMALL, index_toy, many_sessions, train_toy


def test_a_model_answers_with_the_threads_of_the_command(plays: Workspace) -> None:
    model = open_recommender(plays, "sknn", None, threads=2).model
    assert isinstance(model, SessionKnnModel) and model.threads == 2


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("kind", ["flat", "IVF3,Flat", "hnsw"])
def test_an_index_recommends_the_items_of_its_model(workspace: Workspace, name: str, kind: str) -> None:
    model = train_toy(workspace, name)
    built = index_toy(workspace, name, kind)
    settings = SearchSettings(nprobe=3 if "IVF" in kind else None)
    opened = open_recommender(workspace, None, built.name, settings)
    assert [a.name for a in opened.used] == [built.name, name] and opened.source.name == name
    histories = many_sessions()
    for exclude_seen in (True, False):
        exact = model.recommend(histories, 5, exclude_seen=exclude_seen)
        results = opened.model.recommend(histories, 5, exclude_seen=exclude_seen)
        np.testing.assert_array_equal(results.rows, exact.rows)
        np.testing.assert_allclose(results.scores, exact.scores, rtol=1e-5, atol=1e-6)


def test_incompatible_options_are_refused(workspace: Workspace) -> None:
    train_toy(workspace, "gru4rec")
    built = index_toy(workspace, "gru4rec", "flat")
    source = workspace.find("model", "gru4rec")
    build_index_artifact(source, workspace.folder("index", "items"), IndexSettings("flat"))

    def refused(*given: Any, **more: Any) -> str:
        with pytest.raises(SettingsError) as caught:
            open_recommender(workspace, *given, **more)
        return str(caught.value)

    through = (None, built.name)
    assert refused(*through, popularity=0.5).startswith("--popularity cannot change the existing index")
    cells = SearchSettings(nprobe=2)
    assert refused(*through, cells) == "nprobe is a setting of IVF indexes, but this index is Flat; leave it out"
    message = "nprobe is a setting of IVF indexes, but gru4rec is a model; leave it out"
    assert refused("gru4rec", None, cells) == message
    assert (
        refused(None, "items")
        == "index items contains items, not answers; build one with `embedrec build-index --of answers`"
    )
    with pytest.raises(SettingsError, match="--of answers uses the metric of the model"):
        build_index_artifact(source, workspace.folder("index", "y"), IndexSettings("flat", "answers", metric="l2"))
    recipe = build(recipe_class("gru4rec"), SMALL["gru4rec"] | {"epochs": 3}, source="test")
    train_model(recipe, workspace.find("sessions"), source.folder)
    assert refused(*through).startswith("model gru4rec was trained again after index gru4rec-answers-flat was built;")
