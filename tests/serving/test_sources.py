"""What is served by default and by name, and what answers which question."""

from __future__ import annotations

import shutil

import pytest

from embedrec.errors import ArtifactError, SettingsError
from embedrec.serving.settings import ServeSettings
from embedrec.serving.sources import newest_artifacts, open_served
from embedrec.storage.workspace import Workspace


def test_the_newest_artifacts_are_those_of_the_command_line(plays: Workspace) -> None:
    newest = {question: artifact.name for question, artifact in newest_artifacts(plays).items()}
    assert newest == {"similar": "flat", "recommend": "vectors", "neighbours": "vectors"}
    served = open_served(plays, ServeSettings())
    assert list(served.sources) == [("index", "flat"), ("model", "vectors")]
    assert {question: source.name for question, source in served.defaults.items()} == {
        "similar": "flat",
        "recommend": "vectors",
    }


def test_named_artifacts_answer_in_their_order(plays: Workspace) -> None:
    served = open_served(plays, ServeSettings(model=("cooccurrence", "sknn"), index=("flat",)))
    assert {question: source.name for question, source in served.defaults.items()} == {
        "similar": "flat",
        "recommend": "cooccurrence",
        "neighbours": "sknn",
    }
    questions = {source.name: source.questions for source in served.sources.values()}
    assert questions == {
        "flat": ("similar",),
        "cooccurrence": ("similar", "recommend"),
        "sknn": ("recommend", "neighbours"),
    }
    assert served.find("recommend", None, "sknn").name == "sknn"
    assert [(a.name, a.answers, a.default) for a in served.describe()] == [
        ("flat", ["similar"], ["similar"]),
        ("cooccurrence", ["similar", "recommend"], ["recommend"]),
        ("sknn", ["recommend", "neighbours"], ["neighbours"]),
    ]


@pytest.mark.parametrize(
    ("question", "index", "model", "message"),
    [
        ("similar", "flat", "sknn", "index and model are mutually exclusive; name one of them"),
        ("similar", None, "sknm", "no model 'sknm' is served; did you mean 'sknn'?"),
        ("similar", None, "sknn", "model sknn cannot answer similar; flat can"),
        ("similar", "other", None, "no index 'other' is served; served are flat"),
    ],
)
def test_sources_that_cannot_answer_are_refused(
    plays: Workspace, question: str, index: str | None, model: str | None, message: str
) -> None:
    served = open_served(plays, ServeSettings(model=("sknn",), index=("flat",)))
    with pytest.raises(SettingsError) as caught:
        served.find(question, index, model)
    assert str(caught.value) == message


def test_a_question_that_nothing_answers_is_refused(plays: Workspace) -> None:
    with pytest.raises(SettingsError, match="nothing that is served answers neighbours"):
        open_served(plays, ServeSettings(index=("flat",))).find("neighbours", None, None)


def test_an_empty_workspace_is_refused(plays: Workspace) -> None:
    shutil.rmtree(plays.root / "models")
    shutil.rmtree(plays.root / "indexes")
    with pytest.raises(ArtifactError, match=r"no model artifact in .*; make one with"):
        open_served(plays, ServeSettings())


def test_what_is_opened_is_kept(plays: Workspace) -> None:
    served = open_served(plays, ServeSettings(model=("vectors",)))
    source = served.find("similar", None, None)
    assert source.similar() is source.similar()
    scaled = [source.similar(popularity / 10) for popularity in range(6)]
    assert source.similar(0.5) is scaled[5]  # the last four are kept
    assert source.similar(0.0) is not scaled[0]


def test_the_version_changes_with_any_artifact(plays: Workspace) -> None:
    versions = {open_served(plays, ServeSettings(model=names)).version for names in (("sknn",), ("sknn", "vectors"))}
    assert len(versions) == 2
    assert open_served(plays, ServeSettings(model=("sknn",))).version in versions
