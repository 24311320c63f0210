"""Split sessions on Spark by a rule: the files of both parts, and the leak check, are those of one machine.

Executors select from slices of whole sessions. The driver holds the vocabulary and an array of each part, and for rules
that choose among all sessions a byte a session.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embedrec.data.feature_parquet import load_features, save_features
from embedrec.data.parquet_io import load_ids, load_vocab, save_ids, save_vocab
from embedrec.data.sessions import Sessions, rank_counts
from embedrec.data.vocab import Vocab
from embedrec.errors import DataError
from embedrec.spark.item_sums import ITEMS, SUMS_SCHEMA, sum_rows, sums_of
from embedrec.spark.part_files import join_arrays, join_columns, join_lengths, load_part, save_columns, save_part
from embedrec.spark.sessions_frame import SessionsFrame
from embedrec.spark.split_facts import SessionSlices, SliceRule, learn_facts
from embedrec.spark.tasks import fresh_name, numbered, numbers_in, run_numbered
from embedrec.splitting.holdout import PART
from embedrec.splitting.leakage import (
    LONG,
    NO_TIMES,
    check_copies,
    check_order,
    known_items,
    other_order,
    shared_ids,
)
from embedrec.splitting.rules import Rule, Time, WarmTime
from embedrec.storage.artifacts import Draft

_SIDES = ("", PART)  # prefixes of the files of the training part and of the held-out part
_SESSIONS = ITEMS + 1  # what a row of sums is: the sessions of each part
_ARRAYS = {"times": np.int64, "weights": np.float32, "kinds": np.int32}
_FEATURES = ("item_features", "user_features")


@dataclass(frozen=True, eq=False)
class SparkSplit:
    """Both parts of sessions, in parts of files.

    vocabs    of the training part and of the held-out part
    sessions  numbers of sessions
    events    numbers of events
    """

    frame: SessionsFrame
    slices: SessionSlices
    rule: SliceRule
    staging: Path
    vocabs: tuple[Vocab, Vocab]
    sessions: tuple[int, int]
    events: tuple[int, int]
    parts: Sequence[dict[str, Any]]

    def write(self, draft: Draft) -> None:
        """Write the files of both parts into a sessions artifact."""
        artifact, prefix = self.frame.artifact, self.frame.part
        for side, vocab in zip(_SIDES, self.vocabs, strict=True):
            join_lengths(draft, f"{side}offsets", self._files(f"{side}lengths.npy"))
            join_arrays(draft, f"{side}items", np.int32, self._files(f"{side}items.npy"))
            for name in self.slices.columns:
                join_arrays(draft, f"{side}{name}", _ARRAYS[name], self._files(f"{side}{name}.npy"))
            for name in _id_columns(self.frame):
                whole = _whole(artifact.path(f"{prefix}{name}.parquet"))
                join_columns(draft, f"{side}{name}", [("id", whole)], self._files(f"{side}{name}.parquet"))
            save_vocab(vocab, draft.path(f"{side}vocab.parquet"))
            if f"{prefix}kinds.parquet" in artifact:
                save_ids(load_ids(artifact.path(f"{prefix}kinds.parquet")), draft.path(f"{side}kinds.parquet"))
            for name in _FEATURES:
                if f"{prefix}{name}.parquet" in artifact:
                    features = load_features(artifact.path(f"{prefix}{name}.parquet"))
                    save_features(features, draft.path(f"{side}{name}.parquet"))
        join_arrays(draft, f"{PART}given", np.int64, self._files("given.npy"))

    def check(self) -> list[str]:
        """The results of `check_leaks`, without the comparisons that cannot fail after a split by a rule of ours.

        With distinct ids, a rule either holds out whole sessions, whose ids training does not have, or leaves training
        exactly the given events of a held-out session. Copies under other ids and times are compared.

        Raises DataError for a leak, for ids that are not distinct, and for events that are not in order of time.
        """
        in_time = isinstance(self.rule.rule, Time | WarmTime)
        given = any(part["given"] for part in self.parts)
        self._check_ids()
        if not all(part["ordered"] for part in self.parts):
            raise DataError("events of a session are not in order of time; prepare the data again")
        shared = self.sessions[1] if given else 0
        long = sum(part["long"] for part in self.parts)
        return [
            known_items(len(self.vocabs[0])),
            shared_ids(shared, self.sessions[1]),
            *(check_copies(self._copies(), long) if long else []),
            *self._times(in_time, given),
        ]

    def _check_ids(self) -> None:
        from pyspark.sql import functions as f

        row = self.frame.sessions.agg(f.count_distinct("id").alias("ids")).first()
        distinct = 0 if row is None else row.ids
        if distinct < self.frame.n_sessions:
            raise DataError(
                f"{self.frame.n_sessions:,} sessions have {distinct:,} distinct ids, so that the engine spark cannot "
                "check for leaks; leave --engine out"
            )

    def _copies(self) -> int:
        """The held-out sessions of LONG items or more that equal a training session item by item."""
        from pyspark.sql import functions as f

        work = _Digests(self.slices, self.rule)
        rows = numbered(self.frame.spark, len(self.slices)).mapInArrow(work, "digest binary, train long, test long")
        both = rows.groupBy("digest").agg(f.max("train").alias("train"), f.sum("test").alias("test"))
        total = both.where("train > 0").agg(f.sum("test").alias("copies")).first()
        return 0 if total is None or total.copies is None else int(total.copies)

    def _times(self, in_time: bool, given: bool) -> list[str]:
        """See `leakage`: the order of training and held-out events."""
        if "times" not in self.slices.columns or not self.events[0]:
            return [NO_TIMES]
        moments = {
            name: [part[name] for part in self.parts if part[name] is not None] for name in ("last", "target", "end")
        }
        if not moments["target"]:
            return []
        if in_time:
            return [check_order(max(moments["last"]), min(moments["target" if given else "end"]), given=given)]
        files = tuple(str(path) for path in self._files("times.npy"))
        work = _CountLater(files, min(moments["target"]))
        later = sum(result["later"] for result in run_numbered(self.frame.spark, work, len(files)))
        return [other_order(later / self.events[0])]

    def _files(self, name: str) -> list[Path]:
        return [self.staging / part["folder"] / name for part in self.parts]


def split_frame(rule: Rule, frame: SessionsFrame, staging: Path, *, seed: int = 0) -> SparkSplit:
    """Split sessions by a rule; the parts of the files are in the staging folder, which all machines share.

    Raises DataError if the rule does not suit the sessions.
    """
    slices = SessionSlices.of(frame)
    known = learn_facts(rule, frame, slices, staging, seed=seed, users="users" in _id_columns(frame))
    counted = numbered(frame.spark, max(1, len(slices))).mapInArrow(_CountParts(slices, known), SUMS_SCHEMA).cache()
    try:
        train, test = sums_of(counted, _SESSIONS, 1)
        counts = sums_of(counted, ITEMS, frame.n_items)
    finally:
        counted.unpersist()
    sessions = int(train[0]), int(test[0])
    rule.check_parts(*sessions)
    vocab = load_vocab(frame.artifact.path(f"{frame.part}vocab.parquet"))
    vocabs = []
    for side, own in zip(_SIDES, counts, strict=True):
        order, sizes = rank_counts(own.astype(np.int64), vocab)
        rows = np.full(len(vocab), -1, dtype=np.int32)
        rows[order] = np.arange(len(order), dtype=np.int32)
        save_part(staging / f"{side}rows.npy", rows)
        vocabs.append(vocab.take(order).with_counts(sizes))
    work = _WriteParts(str(staging), slices, known, _id_columns(frame))
    parts = run_numbered(frame.spark, work, len(slices))
    events = int(counts[0].sum()), int(counts[1].sum())
    return SparkSplit(frame, slices, known, staging, (vocabs[0], vocabs[1]), sessions, events, parts)


def _id_columns(frame: SessionsFrame) -> tuple[str, ...]:
    return ("sessions", "users") if f"{frame.part}users.parquet" in frame.artifact else ("sessions",)


def _whole(path: Path) -> bool:
    """Whether ids are integers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    return bool(pq.read_schema(path).field("id").type == pa.int64())


# ---------------------------------------------------------------------------------------------- in executors


@dataclass(frozen=True)
class _CountParts:
    """Numbers of slices → sessions of both parts, and how often each item is in them."""

    slices: SessionSlices
    rule: SliceRule

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        for number in numbers_in(batches):
            if number >= len(self.slices):  # there are no sessions
                continue
            sessions, selection = self.rule.select(self.slices, number)
            parts = selection.train_part(sessions), selection.test_part(sessions).sessions
            sizes = [np.array([len(part)], dtype=np.float64) for part in parts]
            counts = [np.bincount(part.items, minlength=len(part.vocab)).astype(np.float64) for part in parts]
            yield sum_rows(_SESSIONS, *sizes)
            yield sum_rows(ITEMS, *counts)


@dataclass(frozen=True)
class _WriteParts:
    """Numbers of slices → their parts of the files, and what the leak check needs of them.

    last     the last time of a training event; None without one
    target   the first of a target; None without one
    end      the first of the last events of held-out sessions
    given    whether events of held-out sessions are given
    long     held-out sessions of LONG items or more without a given part
    ordered  whether events that are split in time are in order of time
    """

    staging: str
    slices: SessionSlices
    rule: SliceRule
    ids: tuple[str, ...]

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        import pyarrow as pa

        (number,) = numbers_in(batches)
        sessions, selection = self.rule.select(self.slices, number)
        train, held = selection.train_part(sessions), selection.test_part(sessions)
        test = held.sessions
        out = Path(self.staging) / fresh_name("part", number)
        out.mkdir()
        start, _ = self.slices.range(number)
        ids = {name: self.slices.ids(number, name) for name in self.ids}
        for side, kept in zip(_SIDES, (train, test), strict=True):
            save_part(out / f"{side}lengths.npy", kept.lengths)
            save_part(out / f"{side}items.npy", load_part(Path(self.staging) / f"{side}rows.npy")[kept.items])
            for name in self.slices.columns:
                save_part(out / f"{side}{name}.npy", getattr(kept, name))
            for name, column in ids.items():
                save_columns(out / f"{side}{name}.parquet", id=column.take(pa.array(np.asarray(kept.ids) - start)))
        save_part(out / "given.npy", held.given)
        about: dict[str, Any] = {"folder": out.name, "given": bool(held.given.any()), "ordered": True}
        about["long"] = int(((test.lengths >= LONG) & (held.given == 0)).sum())
        about |= {"last": None, "target": None, "end": None}
        if train.times is not None and test.times is not None:
            lengths = test.lengths
            targets = test.times[test.position_of >= np.repeat(np.maximum(held.given, 1), lengths)]
            ends = test.times[test.offsets[1:][lengths > 0] - 1]
            about |= {"last": _extreme(train.times, np.max), "target": _extreme(targets, np.min)}
            about["end"] = _extreme(ends, np.min)
        if isinstance(self.rule.rule, WarmTime):
            about["ordered"] = _in_order(sessions)
        return about


def _extreme(times: np.ndarray, of: Any) -> int | None:
    return int(of(times)) if len(times) else None


def _in_order(sessions: Sessions) -> bool:
    """Whether the events of each session are in order of time."""
    if sessions.times is None or len(sessions.times) < 2:
        return True
    same = np.diff(sessions.session_of) == 0
    return bool((np.diff(sessions.times)[same] >= 0).all())


@dataclass(frozen=True)
class _Digests:
    """Numbers of slices → digests of the items of sessions of LONG items or more, and their part; for whole sessions.

    Two of 2 ** 40 different sessions have equal digests with a probability of 2 ** -49.
    """

    slices: SessionSlices
    rule: SliceRule

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow as pa

        for number in numbers_in(batches):
            sessions, selection = self.rule.select(self.slices, number)
            long = np.flatnonzero(sessions.lengths >= LONG)
            digests = [hashlib.blake2b(sessions[s].tobytes(), digest_size=16).digest() for s in long.tolist()]
            yield pa.record_batch(
                {
                    "digest": pa.array(digests, pa.binary()),
                    "train": selection.train[long].astype(np.int64),
                    "test": selection.test[long].astype(np.int64),
                }
            )


@dataclass(frozen=True)
class _CountLater:
    """Numbers of files of times → how many are not before a moment."""

    files: tuple[str, ...]
    moment: int

    def __call__(self, part: int, batches: Iterator[Any]) -> dict[str, Any]:
        (number,) = numbers_in(batches)
        return {"later": int((load_part(Path(self.files[number])) >= self.moment).sum())}
