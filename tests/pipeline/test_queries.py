"""Queries of models and indexes."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from embedrec.errors import SettingsError, UnknownItemError
from embedrec.pipeline.prepare import prepare
from embedrec.pipeline.steps import BuiltIndex, PreparedSessions, TrainedModel
from tests.cli.conftest import Run, succeed
from tests.pipeline.conftest import COLUMNS, SMALL


@pytest.fixture(scope="module")
def model(prepared: PreparedSessions) -> TrainedModel:
    return prepared.train("word2vec", **SMALL)


@pytest.fixture(scope="module")
def index(model: TrainedModel) -> BuiltIndex:
    return model.build_index("flat")


def test_items_are_names_ids_or_lists(model: TrainedModel, index: BuiltIndex) -> None:
    by_name = index.similar("Item i03", 3)
    assert by_name.ids() == index.similar("i03", 3).ids() == model.similar(["item I03"], 3).ids()
    assert {n.item for n in index.similar(["i03", "Item i14"], 2)} == {"i03", "i14"}
    assert len(index.similar("i03")) == 10
    with pytest.raises(UnknownItemError, match="no item 'Item i3' among the 20"):
        index.similar("Item i3")


def test_filters_restrict_the_results(index: BuiltIndex, model: TrainedModel) -> None:
    table = index.similar("i03", 5, where="year>=2015")
    assert set(table.ids()) <= {f"i{n}" for n in range(15, 20)} and table.messages == ("5 of 20 items are allowed",)
    assert index.similar("i03", 5, where=["year>=2015", "year<2017"], exclude=["i15"]).ids() == ["i16"]
    assert set(model.similar("i03", 2, only=["i05", "i07"]).ids()) == {"i05", "i07"}
    assert model.recommend("i03", 3, only=["i05"]).ids() == ["i05"]


def test_search_settings_are_arguments(model: TrainedModel, index: BuiltIndex) -> None:
    ivf = model.build_index("ivf")
    assert len(ivf.similar("i03", 3, nprobe=1)) <= 3
    with pytest.raises(SettingsError, match="similar has no argument 'nprob'; did you mean 'nprobe'"):
        ivf.similar("i03", nprob=1)
    with pytest.raises(SettingsError, match="popularity=… cannot change the existing index"):
        index.similar("i03", popularity=0.5)
    assert model.similar("i03", 3, popularity=1.0).ids()


def test_models_and_indexes_of_answers_recommend_next_items(model: TrainedModel) -> None:
    assert "i03" not in model.recommend(["i03", "i06"], 5).ids()
    assert "i03" in model.recommend(["i03"], 20, exclude_seen=False).ids()
    output_index = model.build_index("flat", of="answers")
    assert output_index.recommend(["i03", "i06"], 5).ids() == model.recommend(["i03", "i06"], 5).ids()
    with pytest.raises(SettingsError, match="build one with `embedrec build-index --of answers`"):
        model.build_index("flat").recommend("i03")


def test_session_knn_returns_past_sessions(prepared: PreparedSessions) -> None:
    knn = prepared.train("sknn")
    assert knn.neighbours(["i03", "i06"], 3)[0].shared == 2
    assert "v7" not in knn.neighbours(session="v7", k=5).ids()
    explained = knn.recommend("i03", 2, explain=True)
    assert explained[0].sessions and "sessions" in repr(explained).splitlines()[0]
    for history, session in (((), None), ("i03", "v7")):
        with pytest.raises(SettingsError, match="give either a history or session"):
            knn.neighbours(history, session=session)


def test_exports_equal_those_of_the_command_line(run: Run, log: Path, tmp_path: Path) -> None:
    model = prepare(log, workspace=tmp_path, threads=1, **COLUMNS).train("word2vec", **SMALL)
    index = model.build_index("flat")
    assert index.export(tmp_path / "here.tsv", 5, names=True, mutual=True) == 20
    succeed(run, "export", tmp_path / "shell.tsv", "-n", 5, "--names", "--mutual", "--workspace", tmp_path)
    assert (tmp_path / "here.tsv").read_bytes() == (tmp_path / "shell.tsv").read_bytes()
    assert model.export(tmp_path / "items.vec") == 20
    assert (tmp_path / "items.vec").read_text().startswith("20 8\n")
    (tmp_path / "carts.csv").write_text("session,item\nx,i03\nx,i06\ny,i14\n")
    assert model.export(tmp_path / "next.parquet", 3, of="recommendations", histories=tmp_path / "carts.csv") == 2
    assert pq.read_table(tmp_path / "next.parquet").num_rows == 6
    assert model.build_index("flat", of="sessions").export(tmp_path / "sessions.jsonl", 2) == 60
    with pytest.raises(SettingsError, match="export has no argument 'min_scor'; did you mean 'min_score'"):
        model.export(tmp_path / "x.tsv", min_scor=0.5)
    with pytest.raises(SettingsError, match="recommendations need a table of histories; name it with histories=…"):
        model.export(tmp_path / "x.tsv", of="recommendations")
    prepare(log, workspace=tmp_path, top=10, **COLUMNS)
    with pytest.raises(SettingsError, match="is stale"):
        model.export(tmp_path / "x.tsv")
