"""What a report includes."""

from __future__ import annotations

from pathlib import Path

import pytest

from embedrec.models.baselines.popular import Popular
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.storage.workspace import Workspace
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.evaluation_options import EvaluationOptions
from embedrec.workflows.report import compare_for_report, indexes_of, models_of_line
from embedrec.workflows.train import import_vectors, train_model
from tests.conftest import of_lists
from tests.workflows.events import recorder
from tests.workflows.toy_models import many_sessions


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two data sets with a model each, imported vectors, and an index."""
    workspace = Workspace(tmp_path)
    for name, sessions in (("big", many_sessions()), ("small", of_lists(["ab", "bc", "ca"]))):
        sessions.save(workspace.folder("sessions", name), {})
    train_model(Popular(), workspace.find("sessions", "small"), workspace.folder("model", "popular"))
    recipe = Word2Vec(dim=4, epochs=1, min_count=1)
    model = train_model(recipe, workspace.find("sessions", "big"), workspace.folder("model", "vectors"))
    build_index_artifact(model, workspace.folder("index", "flat"), IndexSettings("flat"))
    (tmp_path / "foreign.txt").write_text("2 2\na 1 0\nb 0 1\n")
    import_vectors(tmp_path / "foreign.txt", workspace.folder("model", "foreign"))
    return workspace


def test_models_of_the_same_data(workspace: Workspace) -> None:
    included, others = models_of_line(workspace, workspace.find("sessions", "big"))
    assert sorted(model.name for model in included) == ["foreign", "vectors"]
    assert others == [("popular", "small")]


def test_indexes_of_models(workspace: Workspace) -> None:
    assert indexes_of(workspace, ["vectors", "popular"]) == ["flat"]
    assert indexes_of(workspace, ["popular"]) == []


def test_a_comparison_is_a_record(workspace: Workspace) -> None:
    options = EvaluationOptions(split="last-item", at=(1, 2), draws=0)
    task = options.open_task(workspace.find("sessions", "small"))
    events, stage = recorder()
    names = ["popular", "random"]
    record = compare_for_report(workspace, names, task, options.settings(task), options, stage=stage)
    assert (record["split"], record["sessions"]) == ("last-item", "small")
    assert sorted(row["model"] for row in record["rows"]) == names and sorted(record["metrics"]) == names
    assert [title for title, event, _ in events if event == "note"] == ["train popular", "train random"]
