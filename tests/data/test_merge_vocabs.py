"""Vocabularies of several logs as one, with a dictionary as the slow twin."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from embedrec.data import Events
from embedrec.data.event_log import EventLog
from embedrec.data.merge_vocabs import extend_ids, merge_ids, merge_names
from tests.data.strategies import given


@given(st.lists(st.lists(st.sampled_from(["a", "b", "5", "c"]), max_size=5), min_size=2, max_size=4))
def test_ids_are_numbered_by_first_appearance(columns: list[list[str]]) -> None:
    arrays = [np.array(column, dtype=object) for column in columns]
    rows, ids = merge_ids(arrays)
    assert ids.tolist() == list(dict.fromkeys(i for column in columns for i in column))
    assert [ids[r].tolist() for r in rows] == columns


def test_ids_are_numbers_if_all_are() -> None:
    rows, ids = merge_ids([np.array([3, 1]), np.array([1, 2])])
    assert (ids.dtype, ids.tolist(), [r.tolist() for r in rows]) == (np.int64, [3, 1, 2], [[0, 1], [1, 2]])
    rows, ids = merge_ids([np.array([3, 1]), np.array(["1", "x"], dtype=object)])
    assert (ids.tolist(), [r.tolist() for r in rows]) == (["3", "1", "x"], [[0, 1], [1, 2]])


FEW = st.sampled_from([*"abcdefgh"])
SOME = st.lists(st.integers(0, 9), unique=True)


@given(st.one_of(st.tuples(st.lists(FEW, unique=True), st.lists(FEW, unique=True)), st.tuples(SOME, SOME)))
def test_known_ids_are_extended_by_others(columns: tuple[list[object], list[object]]) -> None:
    dtype = np.int64 if any(isinstance(i, int) for column in columns for i in column) else object
    known, ids = (np.array(column, dtype=dtype) for column in columns)
    extended = extend_ids(known, ids)
    (_, rows), merged = merge_ids([known, ids])
    assert extended is not None and (extended[0].tolist(), extended[1].tolist()) == (rows.tolist(), merged.tolist())


def test_known_ids_keep_their_type() -> None:
    numbers, texts = np.array([1, 2]), np.array(["2", "x"], dtype=object)
    assert extend_ids(numbers, texts) is None
    extended = extend_ids(texts, numbers)
    assert extended is not None and (extended[0].tolist(), extended[1].tolist()) == ([2, 0], ["2", "x", "1"])


def test_names_of_items_without_a_name_are_empty() -> None:
    logs = [EventLog(Events.of([1], ["a"], names={"a": "A"})), EventLog(Events.of([1], ["b"]))]
    names = merge_names(logs, [np.array([0]), np.array([1])], 2)
    assert names is not None and names.tolist() == ["A", ""]
    assert merge_names(logs[1:], [np.array([0])], 1) is None
