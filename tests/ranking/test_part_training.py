"""Parts are trained once for each recipe, seed and sessions."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec import SequentialRules
from embedrec.data import Features, Sessions
from embedrec.models.serialization import save_model
from embedrec.ranking.part_training import IN_MEMORY, PartStore, part_name, sessions_digest
from embedrec.ranking.parts import PartSettings, part_settings
from embedrec.storage import artifacts
from tests.conftest import of_lists, tiny_sessions

PARTS = part_settings("sr=3,popular=2", {})


def train(store: PartStore, parts: list[PartSettings] = PARTS, seed: int = 0, **options: Any) -> list[Any]:
    sessions = options.pop("sessions", tiny_sessions())
    report = options.pop("report", lambda event, **numbers: None)
    return store.train(parts, sessions, seed=seed, threads=1, report=report, window=options.get("window", False))


def test_without_a_folder_nothing_is_kept() -> None:
    assert [part.source for part in train(IN_MEMORY)] == [None, None]


def test_kept_parts_are_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = train(PartStore(tmp_path))
    assert sorted(f.name for f in tmp_path.iterdir()) == sorted(part.source.name for part in first)
    monkeypatch.setattr(SequentialRules, "fit", None)
    again = train(PartStore(tmp_path))
    assert [part.source.digest for part in again] == [part.source.digest for part in first]
    with pytest.raises(TypeError):
        train(PartStore(tmp_path), seed=1)
    with pytest.raises(TypeError):
        train(PartStore(tmp_path), sessions=of_lists(["ab", "ba"]))


def test_a_damaged_part_is_trained_again(tmp_path: Path) -> None:
    first = train(PartStore(tmp_path))
    file = next(f for f in first[0].source.folder.iterdir() if f.suffix == ".npy")
    file.write_bytes(file.read_bytes()[:-1])
    again = train(PartStore(tmp_path))
    assert again[0].source.fingerprint == first[0].source.fingerprint
    again[0].source.check()


def test_existing_models_serve_if_settings_and_seed_are_the_same(tmp_path: Path) -> None:
    sessions = tiny_sessions()
    save_model(SequentialRules().fit(sessions), tmp_path / "mine", {"seed": 0, "continued_from": None})
    existing = [artifacts.read(tmp_path / "mine", "model")]
    store = PartStore(tmp_path / "parts", existing)
    assert train(store)[0].source.name == "mine"
    assert train(store, seed=1)[0].source.name != "mine"
    assert train(store, window=True)[0].source.name != "mine"  # it knows the window
    other = part_settings("sr=3,popular=2", {"sr": {"steps": 2}})
    assert train(store, other)[0].source.name != "mine"


def test_each_part_is_reported_without_its_epochs(tmp_path: Path) -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    parts = part_settings("word2vec=3,popular=2", {"word2vec": {"epochs": 2, "dim": 4, "min_count": 1}})
    train(PartStore(tmp_path), parts, window=True, report=lambda event, **n: events.append((event, n)))
    done = [numbers for event, numbers in events if event == "part"]
    assert [(n["name"], n["window"]) for n in done] == [("word2vec", True), ("popular", True)]
    assert {event for event, _ in events} <= {"part", "progress", "note"}


def test_the_digest_is_of_everything_that_a_recipe_may_learn_from() -> None:
    base = of_lists(["ab", "ba"])
    numbers = Features(base.vocab, {"price": np.array([1.0, 2.0])})
    changed: list[Sessions] = [
        of_lists(["ab", "bb"]),
        of_lists(["a", "bba"]),
        of_lists(["ac", "ca"]),
        dataclasses.replace(base, times=np.arange(4)),
        dataclasses.replace(base, weights=np.ones(4, np.float32)),
        dataclasses.replace(base, kinds=np.zeros(4, np.int32), kind_names=np.array(["click"], object)),
        dataclasses.replace(base, users=np.array(["u", "v"], object)),
        dataclasses.replace(base, item_features=numbers),
        dataclasses.replace(base, user_features=numbers),
        dataclasses.replace(base, item_features=Features(base.vocab, {"price": np.array([1.0, 3.0])})),
    ]
    digests = [sessions_digest(s) for s in [base, *changed]]
    assert len(set(digests)) == len(digests)
    assert sessions_digest(of_lists(["ab", "ba"])) == digests[0]
    assert part_name(PARTS[0].recipe, 0, digests[0]).startswith("sr-")
