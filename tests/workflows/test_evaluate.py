"""Evaluation tasks: splits, test cases, labels and descriptions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from embedrec.data import Vocab
from embedrec.errors import DataError, SettingsError
from embedrec.evaluation.evaluate import EvaluationSettings
from embedrec.models.baselines.popular import Popular
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.rules import LastItem, Random, Tail, Time, in_words, rule_of
from embedrec.storage import artifacts
from embedrec.storage.artifacts import Artifact
from embedrec.workflows.evaluate import (
    PROTOCOLS,
    EvaluationTask,
    Protocol,
    describe_task,
    evaluate_task,
    load_labels,
    open_evaluation_task,
    target_ids,
)
from tests.conftest import of_lists
from tests.data.plain import plain_of
from tests.workflows.toy_sessions import has_test_cases, same, world


def by_hour(count: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(count * 3600, UTC).strftime("%Y-%m-%dT%H:%M:%S")


# ---------------------------------------------------------------------------------------------- rules in words


# ------------------------------------------------------------------------------------------------- the parts


def test_every_protocol_has_a_description() -> None:
    assert tuple(PROTOCOLS) == get_args(Protocol)


@pytest.mark.parametrize(
    ("split", "protocol"),
    [
        ("time:share=.3", "next"),
        ("tail", "next"),
        ("random", "next"),
        ("last-session", "next"),
        ("user-share", "next"),
        ("last-item", "last"),
        ("warm-time", "users"),
    ],
)
def test_the_split_and_the_test_cases_of_a_protocol(source: Artifact, split: str, protocol: Protocol) -> None:
    task = open_evaluation_task(source, split=split, seed=7)
    expected = rule_of(split).split(world(), seed=7)
    assert same(task.train, expected.train) and same(task.test.sessions, expected.test.sessions)
    assert task.test.given.tolist() == expected.test.given.tolist()
    assert has_test_cases(task, protocol)
    assert (task.rule, task.part, task.whole_artifact) == (in_words(rule_of(split)), "test", False)
    assert (
        task.leak_check[0] == f"all {len(task.train.vocab)} items of the training vocabulary are in training sessions"
    )


def test_the_default_split_depends_on_the_sessions(source: Artifact, tmp_path: Path) -> None:
    assert open_evaluation_task(source).rule == "time"
    assert open_evaluation_task(source, protocol="users").rule == "warm-time"
    replace(world(), times=None).save(tmp_path / "s", {})
    timeless = artifacts.read(tmp_path / "s")
    assert [open_evaluation_task(timeless, protocol=p).rule for p in (None, "last")] == ["last-item"] * 2
    for protocol in ("next", "rest", "similar"):  # these need whole sessions
        assert open_evaluation_task(timeless, protocol=protocol).rule == "random:share=0.1"


def test_an_existing_held_out_part_is_used(split_source: Artifact) -> None:
    task = open_evaluation_task(split_source)
    expected = Time(share=0.2).split(world())
    assert same(task.train, expected.train) and same(task.test.sessions, expected.test.sessions)
    assert (task.rule, task.part, task.whole_artifact) == ("time:share=0.2", "test", True)
    assert task.leak_check[-1] == "all training events are before the end of every held-out session"
    assert has_test_cases(task, "next")
    again = open_evaluation_task(split_source, split="random:share=.25")  # its training part, split otherwise
    assert same(again.train, Random(0.25).split(expected.train).train) and not again.whole_artifact


@pytest.mark.parametrize(
    ("split", "valid"),
    [("tail:share=.25", "tail:share=0.25"), ("last-item", "last-item"), ("random", "random:share=0.1")],
)
def test_a_validation_part_is_cut_by_the_same_rule(source: Artifact, split: str, valid: str) -> None:
    task = open_evaluation_task(source, split=split, valid=True, seed=3)
    rule = rule_of(split)
    expected = rule.split(rule.split(world(), seed=3).train, seed=3)
    assert same(task.train, expected.train) and same(task.test.sessions, expected.test.sessions)
    assert (task.rule, task.part, task.whole_artifact) == (f"{valid} of the training part", "valid", False)
    test = set(open_evaluation_task(source, split=split, seed=3).test.sessions.ids.tolist())
    assert split == "last-item" or not test & {*task.train.ids.tolist(), *task.test.sessions.ids.tolist()}


def test_a_validation_part_leaves_the_held_out_part_out(split_source: Artifact, tmp_path: Path) -> None:
    assert open_evaluation_task(split_source, valid=True).rule == "time:share=0.2 of the training part"
    train, test = Tail(0.25).split(world())
    for name, part, words in (
        ("timed", train, "time:share=0.25 of the training part"),
        ("plain", replace(train, times=None), "tail:share=0.25 of the training part"),
    ):
        with artifacts.writing(tmp_path / name, "sessions", {"split": {"rule": "given"}}) as draft:
            part.write(draft)
            test.write(draft)
        given = artifacts.read(tmp_path / name)
        assert open_evaluation_task(given).rule == "given" and open_evaluation_task(given).whole_artifact
        valid = open_evaluation_task(given, valid=True)
        assert valid.rule == words and not valid.whole_artifact
        known = set(open_evaluation_task(given).train.ids.tolist())
        assert {*valid.train.ids.tolist(), *valid.test.sessions.ids.tolist()} == known


def test_the_seed_draws_parts_and_cooccurring_items(source: Artifact) -> None:
    one, same_seed, other = (open_evaluation_task(source, split="random", seed=s) for s in (1, 1, 2))
    assert one.test.sessions.ids.tolist() == same_seed.test.sessions.ids.tolist() != other.test.sessions.ids.tolist()
    drawn = [
        open_evaluation_task(source, split="tail", protocol="similar", seed=s).test_cases.sessions.items
        for s in (1, 1, 2)
    ]
    assert drawn[0].tolist() == drawn[1].tolist() != drawn[2].tolist()


def test_given_needs_the_protocol_rest(source: Artifact) -> None:
    task = open_evaluation_task(source, protocol="rest", given=3)
    assert (task.test_cases.length == 3).all()
    assert (open_evaluation_task(source, protocol="rest").test_cases.length == 1).all()
    for protocol, name in (("next", "next"), (None, "next"), ("similar", "similar")):
        with pytest.raises(SettingsError) as error:
            open_evaluation_task(source, protocol=protocol, given=3)  # type: ignore[arg-type]
        assert str(error.value) == f"--given is for --protocol rest, but the protocol is {name}"
    with pytest.raises(SettingsError, match="the held-out sessions have no given items"):
        open_evaluation_task(source, split="tail", protocol="users")


def test_a_leak_is_an_error(tmp_path: Path) -> None:
    train, test = LastItem().split(world())
    with artifacts.writing(tmp_path / "leaky", "sessions", {}) as draft:
        world().write(draft)
        test.write(draft)
    with pytest.raises(DataError, match="leak: training has session 0 beyond the "):
        open_evaluation_task(artifacts.read(tmp_path / "leaky"))
    late = replace(train, times=np.full(len(train.items), 2**50))
    with artifacts.writing(tmp_path / "late", "sessions", {"split": {"rule": "time", "settings": {}}}) as draft:
        late.take(np.arange(5, 120)).drop_unused_items().write(draft)
        HeldOut(test.sessions.take(np.arange(5)), np.zeros(5)).write(draft)
    with pytest.raises(DataError, match="leak: a training event is not before all held-out events"):
        open_evaluation_task(artifacts.read(tmp_path / "late"))


def test_repeated_items_are_detected(source: Artifact) -> None:
    task = open_evaluation_task(source)
    assert task.has_repeats()
    once = [list(dict.fromkeys(p.items)) for p in plain_of(task.train)]
    assert not replace(task, train=of_lists(once)).has_repeats()
    assert not replace(task, train=of_lists([])).has_repeats()


# ------------------------------------------------------------------------------------------------- who answers


# -------------------------------------------------------------------------------------- labels and what is told


def label_sets(trial_: EvaluationTask, labels: Any) -> dict[str, int]:
    """Item → number of labels."""
    return dict(zip(trial_.train.vocab.ids.tolist(), np.asarray(labels.sum(axis=1)).ravel().tolist(), strict=True))


def test_labels_are_read_from_a_feature(source: Artifact) -> None:
    task = open_evaluation_task(source, protocol="similar", split="tail")
    labels = load_labels(task, "genre")
    assert labels.shape == (len(task.train.vocab), 2)
    for row, item in enumerate(task.train.vocab.ids.tolist()):
        assert labels[[row]].toarray().tolist() == [[float(item < "i15"), float(item >= "i15")]]
    result = evaluate_task(
        task, Popular().fit(task.train), EvaluationSettings(exclude_seen=True, draws=0), labels=labels
    )
    assert 0 < result.metrics["label_overlap@10"] < 1


@pytest.mark.parametrize("first", ["i", "I"], ids=["ids", "names"])
def test_labels_are_read_from_a_file(first: str, source: Artifact, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(f"item,genres\n{first}00,x|y|x\n{first}01,y\n{first}00,z\nother,w\n")
    task = open_evaluation_task(source, protocol="similar", split="tail")
    result = label_sets(task, load_labels(task, str(tmp_path / "labels.csv")))
    assert {i: n for i, n in result.items() if n} == {"i00": 2, "i01": 1}  # a label counts once, the first row counts


def test_missing_and_invalid_labels_are_refused(source: Artifact, tmp_path: Path) -> None:
    task = open_evaluation_task(source)
    with pytest.raises(SettingsError) as error:
        load_labels(task, "genres")
    assert (
        str(error.value)
        == "'genres' is neither a file nor a list of the items of world; its items have the lists genre"
    )
    bare = replace(task, train=replace(task.train, item_features=None))
    with pytest.raises(SettingsError) as error:
        load_labels(bare, "genre")
    assert str(error.value) == "'genre' is neither a file nor a list of the items of world; its items have no lists"
    for text, message in (
        ("item,a,b\nx,y,z\n", "must have two columns, of items and of labels, but has item, a, b"),
        ("item,genres\nnobody,x\n", "contains no id and no name of an item; check the file"),
    ):
        (tmp_path / "l.csv").write_text(text)
        with pytest.raises(DataError) as data_error:
            load_labels(task, str(tmp_path / "l.csv"))
        assert message in str(data_error.value)


def test_labels_are_matched_by_integer_ids(tmp_path: Path) -> None:
    vocab = Vocab([7, 8, 9], names=np.array(["seven", "eight", ""], dtype=object))
    sessions = replace(of_lists([[7, 8, 9]] * 10), vocab=vocab)
    sessions.save(tmp_path / "s", {})
    task = open_evaluation_task(artifacts.read(tmp_path / "s"), split="tail")
    for text, expected in (("7,x\n9,y\n", {7: 1, 9: 1}), ("eight,x\nseven,y|z\n", {7: 2, 8: 1})):
        (tmp_path / "l.csv").write_text("item,genres\n" + text)
        result = label_sets(task, load_labels(task, str(tmp_path / "l.csv")))
        assert {i: n for i, n in result.items() if n} == expected


def test_a_task_is_described(split_source: Artifact) -> None:
    task = open_evaluation_task(split_source, protocol="rest", given=2)
    assert describe_task(task, EvaluationSettings(exclude_seen=True, unknown="drop")) == {
        "sessions": "split",
        "split": "time:share=0.2",
        "part": "test",
        "protocol": "rest",
        "ties": "conservative",
        "seen": "removed",
        "unknown": "drop",
        "train_sessions": len(task.train),
        "train_events": len(task.train.items),
        "catalogue": len(task.train.vocab),
        "test_sessions": len(task.test),
        "source": split_source.fingerprint,
    }


def test_ids_of_targets_include_unknown_items(tmp_path: Path) -> None:
    of_lists(["ab", "ba", "cab", "xay"]).save(tmp_path / "s", {})
    task = open_evaluation_task(artifacts.read(tmp_path / "s"), split="tail:share=.5", protocol="next")
    assert target_ids(task, EvaluationSettings()).tolist() == ["a", "b", "a", "y"]
    assert target_ids(task, EvaluationSettings(unknown="drop")).tolist() == ["a", "b", "a"]
