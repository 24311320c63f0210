"""Event logs: their checks, and the order of rows in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embedrec.data import Events, Features, Vocab
from embedrec.data.event_log import EventLog, ReadState, arrange
from embedrec.errors import DataError
from embedrec.readers.session_tables import SessionTables
from embedrec.readers.table import Table
from embedrec.storage.memory_budget import IN_MEMORY
from tests.data.logs import read_log
from tests.readers.reading import rows, write


@pytest.mark.parametrize("name", ["finer", "order", "unsplit", "places"])
def test_lengths_are_checked(name: str) -> None:
    with pytest.raises(DataError, match=f"'{name}' of an event log must have {1 if name == 'unsplit' else 2} values"):
        EventLog(Events.of([1, 1], ["a", "b"]), **{name: np.zeros(3)})


def test_rows_are_sorted_by_session_time_and_parts_of_a_millisecond() -> None:
    columns = {
        "session": np.array([1, 0, 0, 1], dtype=np.int32),
        "item": np.array([0, 1, 2, 3], dtype=np.int32),
        "time": np.array([5, 9, 9, 4]),
        "finer": np.array([0, 8, 3, 0], dtype=np.int32),
        "order": np.array([1.0, 2.0, 1.0, 2.0]),
    }
    vocabs = {"session": Vocab(["s", "t"]), "item": Vocab(["a", "b", "c", "d"])}
    log = arrange(dict(columns), dict(vocabs), ReadState(), IN_MEMORY)
    assert log.events.items.ids[log.events.item].tolist() == ["c", "b", "a", "d"]  # positions count before times
    assert log.order is not None and log.order.tolist() == [1, 2, 1, 2]
    del columns["order"]
    log = arrange(dict(columns), dict(vocabs), ReadState(), IN_MEMORY)
    assert log.events.items.ids[log.events.item].tolist() == ["c", "b", "d", "a"]
    assert log.finer is not None and log.finer.tolist() == [3, 8, 0, 0]


def test_a_log_knows_the_sessions_before_they_were_split(tmp_path: Path) -> None:
    write(tmp_path, {"t.csv": "user,session,item\nA,1,a\nB,1,c\nA,1,b\nB,2,x\n"})
    log = read_log(Table(), [tmp_path / "t.csv"])
    assert rows(log.events) == [("1-A", "a"), ("1-A", "b"), ("1-B", "c"), ("2", "x")]
    assert log.unsplit is not None and log.unsplit.tolist() == [1, 1, 2]
    assert log.places is not None and log.places.tolist() == [0, 2, 1, 3]
    assert (log.state.parted, log.state.keep_users, log.state.plan["user"]) == (True, True, "user")


def test_users_that_only_split_sessions_are_in_the_log_alone(tmp_path: Path) -> None:
    write(tmp_path, {"t.csv": "user,session,item\nA,1,a\nB,1,c\n"})
    log = read_log(SessionTables(), [tmp_path / "t.csv"])
    assert log.events.users is not None and log.events.users.ids.tolist() == ["A", "B"]
    assert (log.as_read().user, log.as_read().users) == (None, None)


def test_names_and_features_are_those_of_the_events() -> None:
    events = Events.of([1], ["a"], names={"a": "Ann"})
    features = Features(Vocab(["a"]), numeric={"price": np.ones(1)})
    log = EventLog(Events.of([1], ["a"])).with_names_and_features(Events(**{**vars(events), "item_features": features}))
    assert log.events.items.names is not None and log.events.items.names.tolist() == ["Ann"]
    assert log.events.item_features is features
