"""Sessions from an event log: regroup, filter and sessionise its events, and write both into an artifact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from embedrec.config import settings_of
from embedrec.data.event_log import EventLog
from embedrec.data.events import Events, filter_fields
from embedrec.data.filters import Filters
from embedrec.data.log_files import BASE, LogRest, one_user_a_session, write_log
from embedrec.data.regroup import AS_READ, Regroup
from embedrec.storage.artifacts import Draft

Sessionize = Callable[[Events], Any]  # `data.sessions.sessionize`, which stands above


@dataclass(frozen=True)
class Rules:
    """How events become sessions."""

    filters: Filters
    regroup: Regroup = AS_READ


@dataclass(frozen=True, eq=False)
class Prepared:
    """Sessions made from a log.

    sessions  as the filters left them
    about     manifest entries of what was read and removed
    kept      the events that passed, of which `sessions` are made
    log       the log, or what of it the sessions do not hold; None if a session has events of several users
    """

    sessions: Any
    about: dict[str, Any]
    kept: Events
    log: EventLog | LogRest | None

    def write_log(self, draft: Draft) -> None:
        """Write the files of the log."""
        if isinstance(self.log, LogRest):
            self.log.write(draft, self.kept, self.sessions)
        elif self.log is not None:
            write_log(draft, self.log, BASE)


def prepare_log(log: list[EventLog], rules: Rules, sessionize: Sessionize) -> Prepared:
    """The sessions of a log.

    log  holds the log, and is emptied, so that its columns can go one by one

    Raises SettingsError and DataError as regrouping and filters do.
    """
    given = log.pop()
    read = given.as_read()
    about: dict[str, Any] = {
        "read": {"events": len(read), "sessions": len(read.sessions), "items": len(read.items)},
    }
    events = rules.regroup.apply(read)
    del read
    about["regrouped"] = {**settings_of(rules.regroup), "sessions": len(events.sessions)}
    mask, removed = rules.filters.mask(events)
    whole = rules.regroup.by == "user"  # its events are in another order
    kept_log: EventLog | LogRest | None = None
    if one_user_a_session(given.events):
        kept_log = given if whole else LogRest.of(given, mask, regrouped=rules.regroup != AS_READ)
    del given
    columns = vars(events).copy()
    if not mask.all():
        del events
        events = filter_fields(columns, mask)
    about["removed"] = [{key: value for key, value in asdict(r).items() if key != "note" or value} for r in removed]
    return Prepared(sessionize(events), about, events, kept_log)
