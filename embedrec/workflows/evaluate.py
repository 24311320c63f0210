"""Evaluate a model: split the sessions, check for leaks, make test cases by a protocol, and measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from embedrec.config import build
from embedrec.data.sessions import Sessions
from embedrec.errors import SettingsError
from embedrec.evaluation.case_blocks import Compute, compute_here
from embedrec.evaluation.evaluate import Evaluation, EvaluationSettings, evaluate
from embedrec.evaluation.item_similarity import evaluate_similar
from embedrec.models.base import Model
from embedrec.progress import Report, quiet
from embedrec.splitting.holdout import HeldOut
from embedrec.splitting.leakage import check_leaks
from embedrec.splitting.rules import (
    SPLITS,
    LastItem,
    Random,
    Rule,
    Tail,
    Time,
    WarmTime,
    default_rule,
    in_words,
    rule_of,
)
from embedrec.splitting.test_cases import TestCases, cooccurring_items, next_items, remaining_items
from embedrec.storage.artifacts import Artifact
from embedrec.storage.remote import input_path
from embedrec.tabular.item_labels import read_labels
from embedrec.workflows.lineage import provenance
from embedrec.workflows.split import split_sessions

Protocol = Literal["next", "last", "rest", "users", "similar"]
PROTOCOLS: dict[str, str] = {
    "next": "the next item after every prefix of every held-out session",
    "last": "the last item of every held-out session",
    "rest": "the rest of every held-out session, its first items given",
    "users": "all held-out items of a user, the earlier ones given",
    "similar": "items that co-occur with an item in held-out sessions, the item alone given",
}


@dataclass(frozen=True, eq=False)
class EvaluationTask:
    """A training part, and test cases from the held-out part.

    source          the sessions artifact
    rule            how it is split, in words
    part            "test", or "valid": cut from the training part by the same rule
    whole_artifact  whether the training part is the whole artifact, so that models trained on it need no retraining
    leak_check      the results of the leak check, one sentence each
    protocol        see PROTOCOLS
    """

    source: Artifact
    rule: str
    part: Literal["test", "valid"]
    whole_artifact: bool
    train: Sessions
    test: HeldOut
    leak_check: list[str]
    protocol: Protocol
    test_cases: TestCases

    def has_repeats(self) -> bool:
        """Whether a training session contains an item twice, so that users return to seen items."""
        return self.train.has_repeats()


def open_evaluation_task(
    source: Artifact,
    *,
    split: str | None = None,
    valid: bool = False,
    protocol: Protocol | None = None,
    given: int | None = None,
    seed: int = 0,
) -> EvaluationTask:
    """Split a sessions artifact and make the test cases.

    split     a rule such as "time:days=7"; None uses the held-out part of the artifact, or without one the default rule
              of the data
    valid     evaluate on a validation part, cut from the training part by the same rule
    protocol  None uses the default of the split
    given     for "rest": number of first items that are given

    Raises SettingsError and DataError for an invalid rule, or one that does not suit the sessions or the protocol.
    """
    train, test = Sessions.load(source), HeldOut.load(source)
    rule: Rule | None = None
    whole_artifact = split is None and test is not None
    if split is not None or test is None:
        rule = _default_rule(train, protocol) if split is None else rule_of(split)
        (train, test), leak_check = split_sessions(rule, train, seed=seed)
    else:
        split_about = source.about.get("split", {})
        if split_about.get("rule") in SPLITS:
            rule = build(SPLITS[split_about["rule"]], split_about["settings"], source=str(source.folder))  # type: ignore[arg-type]
        leak_check = check_leaks(train, test, in_time=isinstance(rule, Time | WarmTime))
    words = "given" if rule is None else in_words(rule)
    if valid:
        # all of the training part is before the moment of a split in time, so that the moment cannot split it again
        past = isinstance(rule, Time | WarmTime) and rule.at is not None
        again = _rule_of_same_share(train, test) if rule is None or past else rule
        (train, test), leak_check = split_sessions(again, train, seed=seed)
        words, whole_artifact = f"{in_words(again)} of the training part", False
    chosen = protocol or _default_protocol(rule)
    test_cases = _test_cases(chosen, test, train, given, seed)
    return EvaluationTask(
        source, words, "valid" if valid else "test", whole_artifact, train, test, leak_check, chosen, test_cases
    )


def load_labels(task: EvaluationTask, text: str) -> Any:
    """Labels of the training vocabulary: (n, g) sparse 0/1 matrix.

    text  the name of a list feature of the items, or a file with ids (or names) in one column and lists in another

    Raises SettingsError when there is no such feature or file, DataError when no item has labels.
    """
    import scipy.sparse as sp

    vocab = task.train.vocab
    features = task.train.item_features
    available = [] if features is None else list(features.lists)
    if features is not None and text in available:
        lists = features.align(vocab).lists[text]
    elif (path := input_path(text)).is_file():
        lists = read_labels(path, vocab)
    else:
        hint = f"; its items have the lists {', '.join(available)}" if available else "; its items have no lists"
        raise SettingsError(f"{text!r} is neither a file nor a list of the items of {task.source.name}{hint}")
    codes = sp.csr_array((np.ones(len(lists.codes)), lists.codes, lists.offsets), (len(vocab), len(lists.names)))
    codes.sum_duplicates()
    codes.data[:] = 1
    return codes


def target_ids(task: EvaluationTask, settings: EvaluationSettings) -> np.ndarray:
    """The ids (T,) of the targets that `evaluate` counts, also of those unknown to training."""
    test_cases = task.test_cases
    ids = test_cases.sessions.vocab.ids[test_cases.targets]
    if settings.unknown == "drop":
        ids = ids[test_cases.reindex(task.train.vocab).targets >= 0]
    return ids


def evaluate_task(
    task: EvaluationTask,
    model: Model,
    settings: EvaluationSettings,
    *,
    labels: Any = None,
    compute: Compute = compute_here,
    report: Report = quiet,
) -> Evaluation:
    """Evaluate a model on the test cases of a task; `labels` are for "similar"."""
    given = (model, task.test_cases, task.train, settings)
    if task.protocol == "similar":
        return evaluate_similar(*given, labels=labels, compute=compute, report=report)
    return evaluate(*given, compute=compute, report=report)


def test_part_metrics(source: Artifact) -> Callable[[Model], dict[str, float]]:
    """What measures recall@20 and mrr@20 of a model on the held-out part of a sessions artifact, by its protocol.

    Raises SettingsError if the artifact has no held-out part.
    """
    if HeldOut.load(source) is None:
        raise SettingsError(
            f"sessions {source.name} have no held-out part to test on; cut one off with embedrec split, or leave "
            "--report-test-epochs out"
        )
    task = open_evaluation_task(source)
    k = min(20, len(task.train.vocab))
    settings = EvaluationSettings(at=(k,), exclude_seen=not task.has_repeats(), draws=0)

    def measure(model: Model) -> dict[str, float]:
        metrics = evaluate_task(task, model, settings).metrics
        return {f"{name}@20": metrics[f"{name}@{k}"] for name in ("recall", "mrr")}

    return measure


def describe_task(task: EvaluationTask, settings: EvaluationSettings) -> dict[str, Any]:
    """A task and its settings as a flat record, for JSON and for the manifest of a run."""
    return {
        "sessions": task.source.name,
        "split": task.rule,
        "part": task.part,
        "protocol": task.protocol,
        "ties": settings.ties,
        "seen": "removed" if settings.exclude_seen else "kept",
        "unknown": settings.unknown,
        "train_sessions": len(task.train),
        "train_events": len(task.train.items),
        "catalogue": len(task.train.vocab),
        "test_sessions": len(task.test),
        "source": provenance(task.source)["fingerprint"],
    }


def _rule_of_same_share(train: Sessions, test: HeldOut) -> Rule:
    """A rule that holds out the last training sessions, as large a share as the given held-out part has."""
    share = min(max(len(test) / (len(train) + len(test)), 1e-6), 0.5)
    return Tail(share=round(share, 6)) if train.times is None else Time(share=round(share, 6))


def _default_rule(sessions: Sessions, protocol: Protocol | None) -> Rule:
    """The default rule for sessions and a protocol; most protocols need whole sessions to be held out."""
    if protocol == "users":
        return WarmTime()
    rule = default_rule(sessions)
    return Random() if isinstance(rule, LastItem) and protocol in ("next", "rest", "similar") else rule


def _default_protocol(rule: Rule | None) -> Protocol:
    usual: dict[str, Protocol] = {"last-item": "last", "warm-time": "users"}
    return usual.get("" if rule is None else rule.name, "next")


def _test_cases(protocol: Protocol, test: HeldOut, train: Sessions, given: int | None, seed: int) -> TestCases:
    if given is not None and protocol != "rest":
        raise SettingsError(f"--given is for --protocol rest, but the protocol is {protocol}")
    if protocol in ("next", "last"):
        return next_items(test, "every" if protocol == "next" else "last")
    if protocol == "similar":
        return cooccurring_items(test, train.vocab, seed=seed)
    if protocol == "users":
        return remaining_items(test)
    return remaining_items(test, 1 if given is None else given)
