"""Answers for live sessions: events come one by one, the answer follows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np

from embedrec.models.gru4rec.recipe import RecurrentModel
from embedrec.serving import answers, schemas
from embedrec.serving.answers import Computing
from embedrec.serving.filters import is_filtered
from embedrec.serving.histories import History, as_sessions
from embedrec.serving.problems import Problem
from embedrec.serving.session_store import Event, LiveSession, SessionStore
from embedrec.serving.sources import Served, Source
from embedrec.workflows.recommend import RecommendedItem, recommendation_count, recommended_lists

MOST_STATES = 10_000  # states of sessions that a worker remembers, of a few kB each
IDLE = 60.0  # seconds


@dataclass(frozen=True)
class RememberedState:
    """The state of a recurrent network after some events of a session.

    born   of the session
    count  of its events
    used   when it was last used, on the monotonic clock
    """

    born: str
    count: int
    state: Any
    used: float


@dataclass(frozen=True, eq=False)
class States:
    """The states of the sessions that were asked last, by session and version of the model.

    A state goes on from event to event: an answer costs one step, however long the session is. It is forgotten with its
    session, and where another worker deleted that, once it was not used for `IDLE` seconds.
    """

    _kept: dict[tuple[str, str], RememberedState] = field(default_factory=dict, init=False)
    _lock: Any = field(default_factory=Lock, init=False, repr=False)

    def advance(self, model: RecurrentModel, version: str, session: str, live: LiveSession, rows: Sequence[int]) -> Any:
        """The state after the events of a session, whose items are the rows of `model`, −1 for unknown ones."""
        with self._lock:
            known = self._kept.pop((session, version), None)
        new = live.count if known is None or known.born != live.born else live.count - known.count
        if known is None or not 0 <= new <= len(rows) or known.born != live.born:
            new, state = len(rows), model.start()
        else:
            state = known.state
        for row in rows[len(rows) - new :]:
            state = model.step(state, np.array([row], dtype=np.int64))
        with self._lock:
            while len(self._kept) >= MOST_STATES:
                del self._kept[next(iter(self._kept))]
            self._kept[session, version] = RememberedState(live.born, live.count, state, time.monotonic())
        return state

    def forget(self, session: str) -> None:
        """Forget the states of a session."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == session]:
                del self._kept[key]

    def purge(self, now: float) -> None:
        """Forget the states that were not used for `IDLE` seconds; `now` is of the monotonic clock."""
        with self._lock:  # the least recently used come first
            while self._kept and now - self._kept[oldest := next(iter(self._kept))].used > IDLE:
                del self._kept[oldest]


async def append(
    served: Served,
    computing: Computing,
    store: SessionStore,
    states: States,
    session: str,
    request: schemas.EventsRequest,
) -> schemas.EventsAnswer:
    """Keep events of a session, or nothing without consent. Raises Problem and EmbedrecError."""
    if not request.consent:
        await computing.run(store.delete, session)
        states.forget(session)
        return schemas.EventsAnswer(served.version, session, 0, False)
    now = time.time()
    at = int(now * 1000)
    events = [Event(e.item, at if e.time is None else e.time, e.kind) for e in request.events]
    count = await computing.run(store.append, session, events, request.user, now)
    return schemas.EventsAnswer(served.version, session, count, True)


async def delete(
    served: Served, computing: Computing, store: SessionStore, states: States, session: str
) -> schemas.DeletedAnswer:
    """Forget a session. Raises Problem 404 if there is none."""
    known = await computing.run(store.delete, session)
    states.forget(session)
    if not known:
        raise _unknown()
    return schemas.DeletedAnswer(served.version, session, True)


async def recommend(
    served: Served,
    computing: Computing,
    store: SessionStore,
    states: States,
    session: str,
    request: schemas.LiveQuery,
) -> schemas.RecommendAnswer:
    """The next items of a session, without the items that the model does not know. Raises Problem and EmbedrecError."""
    with served.find("recommend", request.index, request.model) as source:
        live = await computing.run(store.get, session, time.time())
        if live is None:
            raise _unknown()
        given = schemas.RecommendRequest(
            items=[event.item for event in live.events],
            times=[event.time for event in live.events],
            kinds=[event.kind for event in live.events] if any(event.kind for event in live.events) else None,
            user=live.user,
            k=request.k,
            index=request.index,
            model=request.model,
            where=request.where,
            only=None if request.only is None else list(request.only),
            exclude=None if request.exclude is None else list(request.exclude),
            explain=request.explain,
            exclude_seen=request.exclude_seen,
            skip_unknown=True,
        )
        model = source.recommender.model
        if not isinstance(model, RecurrentModel) or is_filtered(given):
            return await answers.recommend(served, computing, given)
        rows = await answers.rows_of(source, computing, model.vocab, given.items or (), skip=True)
        items = await computing.run(_advance, source, states, session, live, rows, request)
        missing = list(rows).count(-1)
        messages = [answers.left_out(missing, len(rows))] if missing else []
        return schemas.RecommendAnswer(
            source.version, [schemas.NextItems(list(map(answers.next_item, items)))], messages
        )


def _advance(
    source: Source, states: States, session: str, live: LiveSession, rows: Sequence[int], request: schemas.LiveQuery
) -> list[RecommendedItem]:
    model = source.recommender.model
    state = states.advance(model, source.version, session, live, rows)
    history = as_sessions([History([row for row in rows if row >= 0])], model.vocab)
    k = recommendation_count(model.vocab, request.k)
    return recommended_lists(model.recommend_for(state.queries, history, k, exclude_seen=request.exclude_seen))[0]


def _unknown() -> Problem:
    return Problem(404, "there is no such session; its time is over, or it had no events")
