"""Splits on Spark have the files of one machine, byte by byte, and the results of its leak check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedrec.data import Sessions
from embedrec.data.events import Events
from embedrec.data.sessions import sessionize
from embedrec.errors import DataError
from embedrec.spark import sessions_frame
from embedrec.spark.session import SparkSettings
from embedrec.splitting.rules import rule_of
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.workflows.spark_split import split_on_spark
from embedrec.workflows.split import write_split
from tests.conftest import of_lists

RULES = [
    "time",
    "time:days=1.5",
    "warm-time:share=.4,min_rating=3",
    "last-item",
    "last-session",
    "user-share",
    "random",
]


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Sessions with all columns, of which some have one event and some are equal."""
    rng, n = np.random.default_rng(1), 240
    session = rng.integers(0, 50, n)
    item = np.where(session % 7 == 0, np.arange(n) % 3, rng.geometric(0.15, n))
    events = Events.of(
        [f"s{s}" for s in session],
        [f"i{i}" for i in item],
        time=1_700_000_000_000 + rng.integers(0, 400, n) * 900_000,
        weight=rng.integers(1, 6, n).astype(float),
        kind=["view" if k else "buy" for k in rng.integers(0, 3, n)],
        user=[f"u{s % 6}" for s in session],
    )
    folder = tmp_path_factory.mktemp("split") / "events"
    sessionize(events).save(folder, {})
    return artifacts.read(folder)


@pytest.mark.spark
@pytest.mark.parametrize("rule", RULES)
def test_files_have_the_same_bytes(
    spark: Any, events: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    monkeypatch.setattr(sessions_frame, "EVENTS_A_SLICE", 100)
    local, checked = write_split(events, tmp_path / "a", rule_of(rule), seed=4)
    other, also = split_on_spark(events, tmp_path / "b", rule_of(rule), SparkSettings(), seed=4)
    assert also == checked
    about = dict(other.about)
    assert about.pop("engine") == "spark"
    differing = {"created", "digest", "name", "files"}
    assert {k: v for k, v in about.items() if k not in differing} == {
        k: v for k, v in local.about.items() if k not in differing
    }
    assert set(other.files) == set(local.files)
    for name in sorted(local.files):
        assert other.path(name).read_bytes() == local.path(name).read_bytes(), name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]  # no parts are left


@pytest.mark.spark
def test_errors_are_those_of_one_machine(spark: Any, tmp_path: Path) -> None:
    of_lists(["abc", "abc", "a"]).save(tmp_path / "s", {})
    source = artifacts.read(tmp_path / "s")
    for rule in ("time", "last-session", "warm-time"):
        messages = []
        for split in (write_split, lambda *given: split_on_spark(*given, SparkSettings())):
            with pytest.raises(DataError) as error:
                split(source, tmp_path / "x", rule_of(rule))
            messages.append(str(error.value))
        assert messages[0] == messages[1]
    Sessions.of_lists([["a"], ["b"]]).save(tmp_path / "t", {})
    with pytest.raises(DataError, match="no session has two items"):
        split_on_spark(artifacts.read(tmp_path / "t"), tmp_path / "x", rule_of("last-item"), SparkSettings())
