"""What is served by default and by name, and what answers which question."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from embedrec.errors import SettingsError
from embedrec.serving.selection import select
from embedrec.serving.settings import ServeSettings
from embedrec.storage.workspace import Workspace


def test_named_artifacts_answer_in_their_order(plays: Workspace) -> None:
    served = select(plays, ServeSettings(model=("cooccurrence", "sknn"), index=("flat",))).served
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
    assert {source.name: source.options for source in served.sources.values()} == {
        "flat": ("map",),
        "cooccurrence": ("explain similar",),
        "sknn": ("explain recommend",),
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
    served = select(plays, ServeSettings(model=("sknn",), index=("flat",))).served
    with pytest.raises(SettingsError) as caught:
        served.find(question, index, model)
    assert str(caught.value) == message


def test_a_question_that_nothing_answers_is_refused(plays: Workspace) -> None:
    with pytest.raises(SettingsError, match="nothing that is served answers neighbours"):
        select(plays, ServeSettings(index=("flat",))).served.find("neighbours", None, None)


def test_what_is_opened_is_kept(plays: Workspace) -> None:
    served = select(plays, ServeSettings(model=("vectors",))).served
    source = served.find("similar", None, None)
    assert source.similar() is source.similar()
    scaled = [source.similar(popularity / 10) for popularity in range(6)]
    assert source.similar(0.5) is scaled[5]  # the last four are kept
    assert source.similar(0.0) is not scaled[0]


def test_a_source_knows_its_model_and_training_sessions(plays: Workspace) -> None:
    served = select(plays, ServeSettings(index=("flat",), model=("vectors", "sknn"))).served
    flat, vectors, sknn = served.sources.values()
    assert flat.model.name == vectors.model.name == "vectors"
    assert vectors.options == ("popularity", "map")
    assert sknn.training_sessions.ids.tolist() == [0, 1, 2, 3, 4, 5]
    assert sknn.training_sessions is sknn.training_sessions
    assert sknn.catalogue.vocab.ids.tolist() == list("abcde")
    with pytest.raises(SettingsError, match="imported from a file"):
        _ = flat.training_sessions


def test_the_version_changes_with_any_artifact(plays: Workspace) -> None:
    versions = {select(plays, ServeSettings(model=names)).served.version for names in (("sknn",), ("sknn", "vectors"))}
    assert len(versions) == 2
    assert select(plays, ServeSettings(model=("sknn",))).served.version in versions


def test_opening_one_thing_does_not_wait_for_another(plays: Workspace) -> None:
    """The event loop opens what is small while a thread reads sessions."""
    source = select(plays, ServeSettings()).served.defaults["similar"]
    started, goes_on = Event(), Event()

    def slow() -> int:
        started.set()
        goes_on.wait(60)
        return 1

    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(source.opened, "slow", slow)
        started.wait(60)
        second = threads.submit(source.opened, "slow", lambda: 2)
        assert threads.submit(source.opened, "fast", lambda: 3).result(60) == 3
        assert not first.done()
        goes_on.set()
        assert (first.result(), second.result()) == (1, 1)
