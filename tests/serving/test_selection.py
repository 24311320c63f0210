"""Which artifacts are served, and which are refused."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.errors import ArtifactError, DataError, SettingsError
from embedrec.index.build import build_index
from embedrec.index.index import Index
from embedrec.index.serialization import save_index
from embedrec.models.vector_model import VectorModel
from embedrec.serving import selection
from embedrec.serving.selection import check, newest_artifacts, sample_recall, select
from embedrec.serving.settings import ServeSettings
from embedrec.serving.sources import Served, Source
from embedrec.storage.switch import Staged, switch
from embedrec.storage.workspace import Workspace
from embedrec.vectors.embeddings import Embeddings
from embedrec.workflows.build_index import IndexSettings, build_index_artifact
from embedrec.workflows.rollback import roll_back
from tests.conftest import some_embeddings


def names(served: Served) -> dict[str, str]:
    return {question: source.version.partition("@")[0] for question, source in served.defaults.items()}


def rebuild(workspace: Workspace, name: str = "flat") -> None:
    """Write the index of the imported vectors again."""
    build_index_artifact(workspace.find("model", "vectors"), workspace.folder("index", name), IndexSettings("flat"))


def damage(folder: Path, file: str) -> None:
    content = bytearray((folder / file).read_bytes())
    content[-1] ^= 1
    (folder / file).write_bytes(content)


def test_the_newest_artifacts_are_those_of_the_command_line(plays: Workspace) -> None:
    newest = {question: artifact.name for question, artifact in newest_artifacts(plays).items()}
    assert newest == {"similar": "flat", "recommend": "vectors", "neighbours": "vectors"}
    served = select(plays, ServeSettings()).served
    assert list(served.sources) == [("index", "flat"), ("model", "vectors")]
    assert names(served) == {"similar": "flat", "recommend": "vectors"}


def test_an_empty_workspace_is_refused(plays: Workspace) -> None:
    shutil.rmtree(plays.root / "models")
    shutil.rmtree(plays.root / "indexes")
    with pytest.raises(ArtifactError, match=r"no model artifact in .*; make one with"):
        select(plays, ServeSettings())


def test_an_artifact_that_answers_several_questions_is_opened_once(
    plays: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(Source, "open", lambda source: opened.append(source.name))
    served = select(plays, ServeSettings(model=("vectors",))).served
    assert opened == ["vectors"] and set(map(id, served.defaults.values())) == {id(served.sources["model", "vectors"])}
    opened.clear()
    shutil.rmtree(plays.folder("index", "flat"))
    served = select(plays, ServeSettings()).served
    assert "vectors" in opened and len(opened) == len(served.sources) == len(set(map(id, served.defaults.values())))


def test_unchanged_sources_are_kept(plays: Workspace) -> None:
    old = select(plays, ServeSettings()).served
    rebuild(plays)
    new = select(plays, ServeSettings(), old).served
    assert new.sources["model", "vectors"] is old.sources["model", "vectors"]
    assert new.sources["index", "flat"] is not old.sources["index", "flat"]


@pytest.mark.parametrize("file", ["index.faiss", "vectors.npy", "vocab.parquet"])
@pytest.mark.parametrize("named", [False, True])
def test_a_damaged_artifact_is_refused_and_the_old_stays(plays: Workspace, file: str, named: bool) -> None:
    settings = ServeSettings(index=("flat",)) if named else ServeSettings()
    old = select(plays, settings).served
    rebuild(plays)
    damage(plays.folder("index", "flat"), file)
    result = select(plays, settings, old)
    assert result.served.sources["index", "flat"] is old.sources["index", "flat"]
    assert result.served.version == old.version
    (refusal,) = result.refused
    assert (refusal.kind, refusal.name) == ("index", "flat") and "is damaged" in refusal.reason


@pytest.mark.parametrize("named", [False, True])
def test_an_artifact_without_its_manifest_is_refused(plays: Workspace, named: bool) -> None:
    settings = ServeSettings(index=("flat",)) if named else ServeSettings()
    old = select(plays, settings).served
    (plays.folder("index", "flat") / "manifest.json").write_text("{")
    result = select(plays, settings, old)
    assert result.served.version == old.version
    assert [(r.kind, r.name) for r in result.refused] == [("index", "flat")]


def test_at_the_start_the_newest_that_is_not_damaged_is_served(plays: Workspace) -> None:
    rebuild(plays, "newer")
    damage(plays.folder("index", "newer"), "index.faiss")
    result = select(plays, ServeSettings())
    assert names(result.served)["similar"] == "flat"
    assert [r.name for r in result.refused] == ["newer"]
    damage(plays.folder("index", "flat"), "index.faiss")
    for model in ("vectors", "cooccurrence", "sknn"):
        damage(plays.folder("model", model), "vocab.parquet")
    with pytest.raises(ArtifactError, match="is damaged"):
        select(plays, ServeSettings())


def test_what_cannot_answer_is_refused_at_the_start(plays: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any, **options: Any) -> None:
        raise DataError("its vectors are of another model")

    monkeypatch.setattr(VectorModel, "recommend", fail)
    chosen = select(plays, ServeSettings())
    assert names(chosen.served) == {"similar": "flat", "recommend": "sknn", "neighbours": "sknn"}
    assert [(one.kind, one.name, one.reason) for one in chosen.refused] == [
        ("model", "vectors", "its vectors are of another model")
    ]


def test_what_is_deleted_is_served_on(plays: Workspace) -> None:
    old = select(plays, ServeSettings()).served
    shutil.rmtree(plays.folder("index", "flat"))
    assert select(plays, ServeSettings(), old).served.version == old.version
    shutil.rmtree(plays.root / "models")
    assert select(plays, ServeSettings(), old).served.version == old.version


def test_a_newer_artifact_takes_the_place(plays: Workspace) -> None:
    old = select(plays, ServeSettings()).served
    rebuild(plays, "newer")
    assert names(select(plays, ServeSettings(), old).served) == {"similar": "newer", "recommend": "vectors"}
    skipped = [plays.find("index", "newer").digest]
    assert names(select(plays, ServeSettings(), old, skipped=skipped).served)["similar"] == "flat"


def test_a_skipped_artifact_of_a_given_name_is_not_served(plays: Workspace) -> None:
    settings = ServeSettings(index=("flat",))
    old = select(plays, settings).served
    rebuild(plays)
    skipped = [plays.find("index", "flat").digest]
    assert select(plays, settings, old, skipped=skipped).served.version == old.version


def test_pinned_artifacts_stay(plays: Workspace) -> None:
    rebuild(plays, "newer")
    settings = ServeSettings(pin=("flat",))
    old = select(plays, settings).served
    assert names(old)["similar"] == "flat"
    rebuild(plays)
    assert select(plays, settings, old).served.sources["index", "flat"] is old.sources["index", "flat"]


def write_index(workspace: Workspace, embeddings: Embeddings, **more: Any) -> None:
    index = build_index(embeddings, "flat")
    save_index(index, workspace.folder("index", "flat"), {"of": "items", "indexed": {"name": "x"}, **more})


def test_an_artifact_of_fewer_than_half_of_the_items_is_refused(plays: Workspace) -> None:
    settings = ServeSettings(index=("flat",))
    write_index(plays, some_embeddings(50, 4))
    old = select(plays, settings).served
    write_index(plays, some_embeddings(24, 4))
    result = select(plays, settings, old)
    assert [r.reason for r in result.refused] == ["flat has 24 items, less than half of the 50 that are served"]
    assert result.served.version == old.version
    assert select(plays, settings, old, force=True).served.version != old.version


def test_an_index_of_lower_recall_is_refused(plays: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ServeSettings(index=("flat",))
    write_index(plays, some_embeddings(50, 4))
    old = select(plays, settings).served
    write_index(plays, some_embeddings(60, 4))
    recalls = {50: (0.99, 0.995, 0.985), 60: (0.97, 0.98, 0.96)}
    monkeypatch.setattr(selection, "sample_recall", lambda source: recalls[source.artifact.about["items"]])
    monkeypatch.setattr(selection, "_SLACK", 0.03)
    result = select(plays, settings, old)
    assert [r.reason for r in result.refused] == ["flat has a recall of 0.970, below the 0.990 that is served"]
    assert select(plays, settings, old, force=True).refused == []
    recalls[60] = (0.98, 0.99, 0.97)  # the intervals overlap
    assert select(plays, settings, old).refused == []


def test_an_index_that_finds_less_than_was_measured_is_refused(plays: Workspace) -> None:
    """A FAISS file of other vectors than those beside it."""
    vocab = Vocab([f"i{row}" for row in range(60)])
    first, second = (
        Embeddings(np.random.default_rng(seed).normal(size=(60, 4)).astype(np.float32), vocab) for seed in (1, 2)
    )
    write_index(plays, first)
    old = select(plays, ServeSettings(index=("flat",))).served
    index = build_index(first, "ivf")
    wrong = type(index)(second, index.spec, index.faiss, index.augmented, index.settings, {"recall@20": 1.0})
    save_index(wrong, plays.folder("index", "flat"), {"of": "items", "indexed": {"name": "x"}})
    result = select(plays, ServeSettings(index=("flat",)), old)
    assert result.served.version == old.version
    assert "on a sample, but 1.000 was measured" in result.refused[0].reason


def test_the_recall_of_exact_search_is_1(plays: Workspace) -> None:
    served = select(plays, ServeSettings(index=("flat",), model=("vectors", "cooccurrence"))).served
    assert {name: sample_recall(s) for (_, name), s in served.sources.items()} == dict.fromkeys(
        ("flat", "vectors", "cooccurrence"), (1.0, 1.0, 1.0)
    )
    for source in served.sources.values():
        check(source, source)


def test_checks_are_made_without_an_old_one(plays: Workspace) -> None:
    source = select(plays, ServeSettings(index=("flat",))).served.sources["index", "flat"]
    source.artifact.about["facts"]["recall@20"] = 2.0
    with pytest.raises(SettingsError, match=r"flat has a recall of 1\.000 on a sample, but 2\.000 was measured"):
        check(source, None)


@pytest.mark.parametrize("named", [False, True])
def test_a_service_follows_a_rollback(plays: Workspace, named: bool) -> None:
    """Also back to an index of fewer items, and forth again; an older one of another name stays aside."""
    settings = ServeSettings(index=("flat",)) if named else ServeSettings()
    write_index(plays, some_embeddings(20, 4))
    first = select(plays, settings).served
    before = plays.find("index", "flat")
    staged = Workspace(plays.root / ".staging")
    write_index(staged, some_embeddings(50, 4))
    switch(plays, [Staged(staged.find("index", "flat"), before)], command="refresh")
    second = select(plays, settings, first).served
    assert second.sources["index", "flat"].artifact.about["items"] == 50
    roll_back(plays)
    back = select(plays, settings, second)
    assert back.refused == []
    assert back.served.version == first.version
    roll_back(plays)
    assert select(plays, settings, back.served).served.version == second.version
    shutil.rmtree(plays.folder("index", "flat"))
    assert named or select(plays, settings, second).served.version == second.version


def test_a_new_source_answers_alone_and_in_the_largest_batch(plays: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []
    neighbours, recommend = Index.neighbours, VectorModel.recommend

    def record_neighbours(index: Index, rows: np.ndarray, *given: Any, **named: Any) -> Any:
        asked.append(("similar", len(rows)))
        return neighbours(index, rows, *given, **named)

    def record_recommend(model: VectorModel, histories: Any, *given: Any, **named: Any) -> Any:
        asked.append(("recommend", len(histories)))
        return recommend(model, histories, *given, **named)

    monkeypatch.setattr(Index, "neighbours", record_neighbours)
    monkeypatch.setattr(VectorModel, "recommend", record_recommend)
    select(plays, ServeSettings())
    assert {("similar", 1), ("similar", 16), ("recommend", 1), ("recommend", 16)} <= set(asked)
    assert "numba" in sys.modules
