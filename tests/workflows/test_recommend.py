"""What recommends through an index of a model's answers, against the model that looks at all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.config import build
from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.index.build import build_index
from embedrec.index.build_settings import BuildSettings
from embedrec.index.measure import sample_queries
from embedrec.index.search_settings import SearchSettings
from embedrec.index.serialization import load_index
from embedrec.index.target import SearchTarget
from embedrec.models import recipe_class
from embedrec.models.filtered_recommend import sample_query_vectors
from embedrec.models.serialization import load_model
from embedrec.models.vector_model import VectorModel
from embedrec.storage import artifacts
from embedrec.storage.workspace import Workspace
from embedrec.workflows.build_index import IndexSettings, build_index_artifact, index_name
from embedrec.workflows.recommend import open_recommender
from embedrec.workflows.train import import_vectors, train_model
from embedrec.workflows.verify import verify_recall
from tests.conftest import some_embeddings, tiny_sessions

SMALL: dict[str, dict[str, Any]] = {
    "gru4rec": {"epochs": 2, "layers": "8", "n_sample": 8, "batch": 4},
    "word2vec": {"epochs": 2, "dim": 8, "min_count": 1},
    "two-tower": {"epochs": 2, "dim": 8, "negatives": 8, "patience": "none"},
    "mf": {"epochs": 2, "dim": 4},
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    with artifacts.writing(tmp_path / "sessions" / "tiny", "sessions", {}) as draft:
        many_sessions().write(draft)
    return Workspace(tmp_path)


def many_sessions() -> Any:
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    return tiny_sessions(["".join(letters[rng.permutation(26)[: rng.integers(2, 9)]]) for _ in range(80)])


def trained(workspace: Workspace, name: str) -> VectorModel:
    recipe = build(recipe_class(name), SMALL[name], source="test")
    folder = workspace.folder("model", name)
    train_model(recipe, workspace.find("sessions"), folder)
    model = load_model(artifacts.read(folder))
    assert isinstance(model, VectorModel)
    return model


def indexed(workspace: Workspace, name: str, kind: str, **more: Any) -> artifacts.Artifact:
    source = workspace.find("model", name)
    folder = workspace.folder("index", index_name(name, kind, "answers"))
    return build_index_artifact(
        source, folder, IndexSettings(kind, "answers", **more), sessions=workspace.find("sessions")
    )


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("kind", ["flat", "IVF3,Flat", "hnsw"])
def test_it_recommends_what_the_model_does(workspace: Workspace, name: str, kind: str) -> None:
    model = trained(workspace, name)
    built = indexed(workspace, name, kind)
    settings = SearchSettings(nprobe=3 if "IVF" in kind else None)
    opened = open_recommender(workspace, None, built.name, settings)
    assert [a.name for a in opened.used] == [built.name, name] and opened.source.name == name
    histories = many_sessions()
    for exclude_seen in (True, False):
        exact = model.recommend(histories, 5, exclude_seen=exclude_seen)
        found = opened.model.recommend(histories, 5, exclude_seen=exclude_seen)
        np.testing.assert_array_equal(found.rows, exact.rows)
        np.testing.assert_allclose(found.scores, exact.scores, rtol=1e-5, atol=1e-6)


def test_an_index_of_answers_is_measured_on_histories(workspace: Workspace) -> None:
    """Recall of one cell of many, on states of the network instead of on items."""
    model = trained(workspace, "gru4rec")
    settings = SearchSettings(nprobe=1)
    built = indexed(workspace, "gru4rec", "IVF4,Flat", search=settings, target=SearchTarget(0.01, 3), seed=3)
    queries = sample_query_vectors(model, Sessions.load(workspace.find("sessions")), 4000, seed=3)
    assert queries.shape == (80, 9) and (queries[:, -1] == 1).all()
    index = load_index(built)
    expected = sample_queries(model.answers, queries, 3).recall_of(index)
    assert built.about["facts"]["recall@3"] == round(expected.mean, 4) < 1
    kept = built.array("queries")
    np.testing.assert_array_equal(
        kept, sample_query_vectors(model, Sessions.load(workspace.find("sessions")), 4000, seed=4)
    )
    told, _ = verify_recall(built)
    assert "on 80 fresh histories" in told


def test_recall_of_queries_that_are_no_items() -> None:
    """By hand: 3 nearest of 2 queries, of which an index that visits one cell finds what lies there."""
    embeddings = some_embeddings(50, 4, metric="dot")
    queries = np.random.default_rng(1).normal(size=(2, 4)).astype(np.float32)
    asked = sample_queries(embeddings, queries, 3)
    scores = queries @ embeddings.vectors.T
    np.testing.assert_array_equal(asked.exact.rows, np.argsort(-scores, axis=1)[:, :3])
    assert asked.recall_of(build_index(embeddings, "flat", queries=queries)).mean == 1
    some = build_index(embeddings, "IVF10,Flat", BuildSettings(search=SearchSettings(nprobe=1)), queries=queries)
    found = some.search(queries, 3).rows
    hits = sum(len(np.intersect1d(a, b)) for a, b in zip(found, asked.exact.rows, strict=True))
    assert some.measurements["recall@20"] <= 1 and asked.recall_of(some).mean == pytest.approx(hits / 6)


def test_a_model_from_a_file_is_measured_on_its_items(workspace: Workspace, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32))
    (tmp_path / "x.ids.txt").write_text("".join(f"i{n}\n" for n in range(40)))
    source = import_vectors(tmp_path / "x.npy", workspace.folder("model", "x"), metric="dot")
    built = build_index_artifact(source, workspace.folder("index", "x"), IndexSettings("flat", "answers"))
    assert "queries.npy" not in built and built.about["facts"]["recall_queries"] == 40
    assert "on 40 fresh items" in verify_recall(built)[0]


def test_what_does_not_fit_is_refused(workspace: Workspace) -> None:
    trained(workspace, "gru4rec")
    built = indexed(workspace, "gru4rec", "flat")
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
    said = "nprobe is a setting of IVF indexes, but gru4rec is a model; leave it out"
    assert refused("gru4rec", None, cells) == said
    assert (
        refused(None, "items")
        == "index items holds items, but answers are needed; build one with `embedrec build-index --of answers`"
    )
    with pytest.raises(SettingsError, match="--of answers uses the metric of the model"):
        build_index_artifact(source, workspace.folder("index", "y"), IndexSettings("flat", "answers", metric="l2"))
    recipe = build(recipe_class("gru4rec"), SMALL["gru4rec"] | {"epochs": 3}, source="test")
    train_model(recipe, workspace.find("sessions"), source.folder)
    assert refused(*through).startswith("model gru4rec was trained again after index gru4rec-answers-flat was built;")
