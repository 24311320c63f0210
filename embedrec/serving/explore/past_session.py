"""A training session by its id."""

from __future__ import annotations

from embedrec.errors import did_you_mean
from embedrec.serving.answers import Computing
from embedrec.serving.explore.schemas import PastSessionAnswer, PastSessionQuery
from embedrec.serving.problems import Problem
from embedrec.serving.sources import Served, Source
from embedrec.workflows.neighbours import last_time, session_row


async def past_session(served: Served, computing: Computing, request: PastSessionQuery) -> PastSessionAnswer:
    """The first training session with the id. Raises Problem 404, with near ids, if there is none."""
    with served.any_source(request.index, request.model) as source:
        return await computing.run(_session, source, request.session)


def _session(source: Source, name: str) -> PastSessionAnswer:
    sessions = source.training_sessions
    number = session_row(sessions.ids, name)
    if number < 0:
        raise Problem(
            404, f"no training session has the id {name!r}{did_you_mean(name, map(str, sessions.ids.tolist()))}"
        )
    rows, vocab = sessions[number], sessions.vocab
    names = [""] * len(rows) if vocab.names is None else vocab.names[rows].tolist()
    (known,) = sessions.ids[number : number + 1].tolist()
    return PastSessionAnswer(source.version, known, last_time(sessions, number), vocab.ids[rows].tolist(), names)
