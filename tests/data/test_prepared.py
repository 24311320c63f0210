"""Sessions of a log are those of its events."""

from __future__ import annotations

import numpy as np

from embedrec.data import Events
from embedrec.data.event_log import EventLog
from embedrec.data.filters import Filters
from embedrec.data.log_files import LogRest
from embedrec.data.prepared import Rules, prepare_log
from embedrec.data.regroup import Regroup
from embedrec.data.sessions import sessionize


def events() -> Events:
    return Events.of([1, 1, 1, 2], ["a", "b", "a", "c"], user=["u", "u", "u", "v"], time=np.array([0, 1, 9000, 3]))


def test_the_filters_apply_and_the_manifest_says_what_they_removed() -> None:
    rules = Rules(Filters(min_length=2), Regroup(gap="5s"))
    made = prepare_log([EventLog(events())], rules, sessionize)
    expected = sessionize(rules.filters.apply(rules.regroup.apply(events()))[0])
    assert (made.sessions.ids.tolist(), made.sessions.items.tolist()) == (expected.ids.tolist(), [0, 1])
    assert made.about["read"] == {"events": 4, "sessions": 2, "items": 3}
    assert made.about["regrouped"] == {"by": "session", "gap": "5s", "sessions": 3}
    assert [(r["filter"], r["sessions"], r["events"]) for r in made.about["removed"]] == [("min_length", 2, 2)]


def test_the_log_is_emptied_and_kept_as_a_rest_or_whole() -> None:
    given = [EventLog(events())]
    assert isinstance(prepare_log(given, Rules(Filters()), sessionize).log, LogRest) and not given
    whole = EventLog(events())
    assert prepare_log([whole], Rules(Filters(), Regroup(by="user")), sessionize).log is whole


def test_sessions_of_several_users_have_no_log() -> None:
    log = EventLog(Events.of([1, 1], ["a", "b"], user=["u", "v"]))
    made = prepare_log([log], Rules(Filters()), sessionize)
    assert made.log is None and len(made.sessions) == 1
