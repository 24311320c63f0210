"""A whole refresh: what is renewed, what a refused one leaves, resuming, and two at once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from embedrec.data import joined
from embedrec.data.joined import segments
from embedrec.data.session_changes import SessionChanges, session_changes
from embedrec.data.sessions import Sessions
from embedrec.errors import DataError, SettingsError
from embedrec.index.serialization import load_index
from embedrec.models.serialization import load_model, load_vector_model
from embedrec.models.word2vec.recipe import Word2Vec
from embedrec.storage.lineage import stale
from embedrec.storage.versions import kept_versions
from embedrec.storage.workspace import Workspace
from embedrec.vectors.space import space_of
from embedrec.workflows import append as append_sessions_module
from embedrec.workflows import warm_start
from embedrec.workflows.refresh import measure
from embedrec.workflows.refresh import run as module
from embedrec.workflows.refresh.records import read_refreshes
from embedrec.workflows.refresh.run import RefreshResult, refresh
from embedrec.workflows.refresh.settings import RefreshSettings
from embedrec.workflows.refresh.staging import FOLDER, refreshing
from embedrec.workflows.rollback import roll_back
from embedrec.workflows.train import train_model
from tests.workflows.refresh.nights import NIGHT, copy_of, digests, night_file

LOOSE = RefreshSettings(min_overlap=0.0, max_metric_drop=1.0)


def numbers_of(result: RefreshResult, step: str, name: str) -> dict[str, Any]:
    return next(one.numbers for one in result.steps if (one.step, one.name) == (step, name))


def test_everything_that_derives_from_the_sessions_is_renewed(shop: Workspace, night: Path) -> None:
    before = digests(shop)
    old = {kind: shop.artifacts(kind) for kind in ("sessions", "model", "index")}
    result = refresh(shop, [night], LOOSE)
    assert result.switched and not result.refused
    after = digests(shop)
    assert before.keys() == after.keys() and all(before[key] != after[key] for key in before)
    sessions = shop.find("sessions", "clicks")
    assert len(Sessions.load(sessions)) == 5 * NIGHT
    assert numbers_of(result, "append", "clicks")["new_or_longer"] == NIGHT
    assert numbers_of(result, "append", "clicks")["new_items"] == 1
    assert 0.5 < numbers_of(result, "train", "word2vec")["mean_cosine"] <= 1
    assert numbers_of(result, "train", "cooccurrence").keys() == {"items"}
    for model in shop.artifacts("model"):
        assert model.about["trained_on"]["fingerprint"] == sessions.fingerprint
        assert "new4" in load_model(model).vocab.ids.tolist()
    index = shop.find("index", "word2vec-ivf")
    assert "new4" in load_index(index).vocab.ids.tolist()
    assert stale(shop, index) is None
    word2vec = next(one for one in old["model"] if one.name == "word2vec")
    assert space_of(shop.find("model", "word2vec")) == space_of(word2vec)
    for kind, artifacts in old.items():
        for artifact in artifacts:
            kept = shop.version(kind, artifact.name, artifact.fingerprint)
            assert kept is not None
            kept.check()
    (record,) = read_refreshes(shop, "clicks")
    assert record["refused"] == [] and {one["name"] for one in record["drift"]} == {*("cooccurrence", "word2vec")} | {
        "word2vec-ivf"
    }
    assert not any((shop.root / FOLDER).iterdir())


def test_sessions_are_compared_once(shop: Workspace, night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All models learn from the same changes; those without the newest sessions are compared once more."""
    compared = []

    def compare(old: Sessions, new: Sessions) -> SessionChanges:
        compared.append(len(new))
        return session_changes(old, new)

    for place in (module, measure, warm_start):
        monkeypatch.setattr(place, "session_changes", compare)
    train_model(Word2Vec(epochs=2, dim=4, min_count=1), shop.find("sessions"), shop.folder("model", "other"))
    assert refresh(shop, [night], LOOSE).switched
    assert compared == [5 * NIGHT, 5 * NIGHT - NIGHT // 5]


def test_a_frozen_refresh_keeps_old_vectors(shop: Workspace, night: Path) -> None:
    before = load_vector_model(shop.find("model", "word2vec")).embeddings
    assert refresh(shop, [night], RefreshSettings(min_overlap=0.0, max_metric_drop=1.0, frozen=True)).switched
    new = shop.find("model", "word2vec")
    after = load_vector_model(new).embeddings
    assert new.about["frozen"] is True and "new4" in after.vocab.ids.tolist()
    kept = after.vectors[after.vocab.rows_of(before.vocab.ids)]
    assert kept.tobytes() == before.vectors.tobytes()
    index = load_index(shop.find("index", "word2vec-ivf"))
    assert index.embeddings.vectors[index.vocab.rows_of(before.vocab.ids)].tobytes() == before.vectors.tobytes()


def test_the_next_night_builds_on_this_one(shop: Workspace, night: Path, tmp_path: Path) -> None:
    refresh(shop, [night], LOOSE)
    first = digests(shop)
    result = refresh(shop, [night_file(tmp_path, 5)], LOOSE)
    assert result.switched and numbers_of(result, "index", "word2vec-ivf")["added"] == 1  # not built again
    assert len(Sessions.load(shop.find("sessions", "clicks"))) == 6 * NIGHT
    assert "median cosine" in numbers_of(result, "measure", "word2vec-ivf")
    assert not set(first.values()) & set(digests(shop).values())


def test_versions_share_the_files_of_the_first_prepare(
    shop: Workspace, night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the current sessions keep a joined copy; an earlier version is joined again when it is needed."""
    monkeypatch.setattr(append_sessions_module, "_is_due", lambda _: False)
    first = shop.find("sessions", "clicks").path("items.npy").stat().st_ino
    refresh(shop, [night], LOOSE)
    refresh(shop, [night_file(tmp_path, 5)], LOOSE)
    kept = dict(kept_versions(shop.root, "sessions", "clicks"))
    assert [*kept] == [3, 2, 1] and [len(segments(kept[number])) for number in (1, 2, 3)] == [0, 1, 2]
    assert {version.path("items.npy").stat().st_ino for version in kept.values()} == {first}
    assert [joined.kept_join(kept[number]) is None for number in (1, 2, 3)] == [True, True, False]
    assert joined.kept_join(shop.find("sessions", "clicks")) is not None
    assert [len(Sessions.load(kept[number])) for number in (1, 2, 3)] == [4 * NIGHT, 5 * NIGHT, 6 * NIGHT]
    roll_back(shop)
    assert len(Sessions.load(shop.find("sessions", "clicks"))) == 5 * NIGHT


def test_files_without_new_events_change_nothing(shop: Workspace, night: Path) -> None:
    refresh(shop, [night], LOOSE)
    before = digests(shop)
    result = refresh(shop, [night], LOOSE)
    assert not result.switched and digests(shop) == before and len(result.steps) == 1
    assert not any((shop.root / FOLDER).iterdir())


def test_a_refused_candidate_is_kept_and_can_be_accepted(shop: Workspace, night: Path, monkeypatch: Any) -> None:
    before = digests(shop)
    strict = RefreshSettings(min_overlap=1.0, max_metric_drop=1.0)
    result = refresh(shop, [night], strict)
    assert not result.switched and digests(shop) == before
    assert result.staging == shop.root / FOLDER / "clicks"
    staged = digests(Workspace(result.staging))
    assert result.refused[0].startswith("model word2vec: overlap@20 ")
    assert result.refused[0].endswith(" is below --min-overlap 1")
    assert read_refreshes(shop, "clicks")[0]["refused"] == result.refused

    def fails(*_: Any, **__: Any) -> Any:
        raise AssertionError("a finished step is done again")

    for name in ("append_files", "renew_model", "renew_index"):
        monkeypatch.setattr(module, name, fails)
    assert refresh(shop, [night], RefreshSettings(gate=False)).switched
    assert digests(shop) == staged
    assert [bool(one["refused"]) for one in read_refreshes(shop, "clicks")] == [False, True]


def test_other_files_discard_a_refused_candidate(shop: Workspace, night: Path, tmp_path: Path) -> None:
    refresh(shop, [night], RefreshSettings(min_overlap=1.0))
    messages: list[str] = []

    class Stage:
        def __init__(self, _: str) -> None: ...
        def __enter__(self) -> Any:
            return lambda event, **values: messages.append(values["message"]) if event == "note" else None

        def __exit__(self, *_: object) -> None: ...

    assert refresh(shop, [night_file(tmp_path, 5)], LOOSE, stage=Stage).switched
    assert f"the refused candidate of {night} is discarded; name its files again to include them" in messages
    assert len(Sessions.load(shop.find("sessions", "clicks"))) == 5 * NIGHT


@pytest.mark.parametrize("step", ["append_files", "renew_model", "renew_index", "switch"])
def test_an_error_changes_nothing_and_the_next_call_resumes(
    step: str, shop: Workspace, night: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digests(shop)
    with monkeypatch.context() as patch:

        def fails(*_: Any, **__: Any) -> Any:
            raise DataError("the disk is full")

        patch.setattr(module, step, fails)
        with pytest.raises(DataError, match="the disk is full"):
            refresh(shop, [night], LOOSE)
    assert digests(shop) == before
    assert refresh(shop, [night], LOOSE).switched
    assert all(before[key] != now for key, now in digests(shop).items())


def test_a_kill_between_appending_and_joining_leaves_no_trace(
    shop: Workspace, night: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = copy_of(shop, tmp_path / "whole")
    refresh(whole, [night], LOOSE)
    with monkeypatch.context() as patch:

        def killed(*_: object) -> Any:
            raise KeyboardInterrupt

        patch.setattr(joined, "write_joined", killed)
        patch.setattr(append_sessions_module, "_is_due", lambda _: False)
        with pytest.raises(KeyboardInterrupt):
            refresh(shop, [night], LOOSE)
    assert segments(Workspace(shop.root / FOLDER / "clicks").find("sessions"))
    assert refresh(shop, [night], LOOSE).switched
    assert shop.find("sessions").fingerprint == whole.find("sessions").fingerprint


def test_a_kill_after_the_switch_loses_no_record(shop: Workspace, night: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:

        def killed(*_: Any, **__: Any) -> Any:
            raise KeyboardInterrupt

        patch.setattr(module, "write_refresh", killed)
        with pytest.raises(KeyboardInterrupt):
            refresh(shop, [night], LOOSE)
    after = digests(shop)
    assert read_refreshes(shop, "clicks") == []
    assert not refresh(shop, [night], LOOSE).switched
    assert digests(shop) == after and len(read_refreshes(shop, "clicks")) == 1


def test_two_at_once_wait_or_are_refused(shop: Workspace, night: Path) -> None:
    with refreshing(shop):
        with pytest.raises(SettingsError, match=r"another refresh of .* is running; try again when it has ended"):
            refresh(shop, [night], LOOSE, wait=False)
        waiting = threading.Thread(target=lambda: refresh(shop, [night], LOOSE))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
    waiting.join()
    assert len(Sessions.load(shop.find("sessions", "clicks"))) == 5 * NIGHT


def test_models_without_validation_have_no_metric(shop: Workspace, night: Path) -> None:
    result = refresh(shop, [night], RefreshSettings(min_overlap=0.0, validate=False))
    assert "recall@20 on new sessions" not in numbers_of(result, "measure", "word2vec")
