"""Answers to questions, from what is served: the functions of the command line, applied to batches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, TypeVar

import numpy as np

from embedrec.data.find_items import find_items, parse_id
from embedrec.data.vocab import Vocab
from embedrec.errors import SettingsError, UnknownItemError
from embedrec.serving import schemas
from embedrec.serving.batches import Batch, Batches
from embedrec.serving.filters import is_filtered, item_filter
from embedrec.serving.histories import History, as_sessions, check_history
from embedrec.serving.problems import Problem, problem_of
from embedrec.serving.schemas import HistoryRequest, Id, PastSession, SimilarQuery
from embedrec.serving.sources import Served, Source
from embedrec.workflows.items import catalogue_items, search_catalogue
from embedrec.workflows.lineage import distinguishing_features, item_features
from embedrec.workflows.neighbours import nearest_sessions
from embedrec.workflows.recommend import (
    RecommendedItem,
    Recommender,
    recommend_next,
    recommendation_count,
    recommended_lists,
)
from embedrec.workflows.similar import (
    ItemNeighbourSource,
    SimilarItem,
    neighbour_count,
    neighbours_of_rows,
    similar_lists,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Computing:
    """Where answers are computed.

    batches   short computations, which the event loop does itself
    executor  threads for the others
    timeout   seconds after which a search for names is given up; the application gives up its request
    """

    batches: Batches
    executor: Executor
    timeout: float

    async def run(self, work: Callable[..., T], *given: Any) -> T:
        """The result of `work` in a thread. Raises what `work` raises."""
        return await asyncio.get_running_loop().run_in_executor(self.executor, work, *given)


# ---------------------------------------------------------------------------------------------- similar items


def similar_batch(opened: ItemNeighbourSource, count: int | None) -> Batch:
    """Rows of items → their neighbours, lists of `SimilarItem`."""
    k, _ = neighbour_count(opened.vocab, count)

    def compute(rows: Sequence[int]) -> list[list[SimilarItem]]:
        given = np.array(rows, dtype=np.int64)
        return similar_lists(opened.neighbours(given, k), given)

    return Batch(compute)


async def similar(
    served: Served, computing: Computing, items: Sequence[Id], request: SimilarQuery | schemas.SimilarRequest
) -> schemas.SimilarAnswer:
    """The nearest items of each item. Raises EmbedrecError and Problem, see `problem_of`."""
    with served.find("similar", request.index, request.model) as source:
        return await _similar(source, computing, items, request)


async def _similar(
    source: Source, computing: Computing, items: Sequence[Id], request: SimilarQuery | schemas.SimilarRequest
) -> schemas.SimilarAnswer:
    opened = source.similar() if request.popularity is None else await computing.run(source.similar, request.popularity)
    if request.exact:
        opened = opened.exact()
    vocab = opened.vocab
    rows = await rows_of(source, computing, vocab, items)
    if len(rows) > 1 or request.popularity is not None or request.exact or is_filtered(request):
        work = partial(neighbours_of_rows, explain=(lambda: source.training_sessions) if request.explain else None)
        lists, messages = await computing.run(
            work, source.workspace, opened, np.array(rows), request.k, item_filter(source, request)
        )
    else:
        messages = neighbour_count(vocab, request.k)[1]
        lists = [
            await computing.batches.ask(
                source.opened(("similar batch", request.k), lambda: similar_batch(opened, request.k)), rows[0]
            )
        ]
    results = [
        schemas.ItemNeighbours(
            vocab.ids[row : row + 1].tolist()[0], vocab.name(row), list(map(as_neighbour, neighbours))
        )
        for row, neighbours in zip(rows, lists, strict=True)
    ]
    return schemas.SimilarAnswer(source.version, results, messages)


def as_neighbour(neighbour: SimilarItem) -> schemas.Neighbour:
    return schemas.Neighbour(
        neighbour.similar, neighbour.name, neighbour.rank, neighbour.score, _past(neighbour.sessions)
    )


# ---------------------------------------------------------------------------------------------- next items


def recommend_batch(recommender: Recommender, count: int | None, exclude_seen: bool) -> Batch:
    """Histories of the same columns → their next items, lists of `RecommendedItem`."""
    model = recommender.model
    k = recommendation_count(model.vocab, count)

    def compute(histories: Sequence[History]) -> list[list[RecommendedItem]]:
        return recommended_lists(model.recommend(as_sessions(histories, model.vocab), k, exclude_seen=exclude_seen))

    return Batch(compute)


async def recommend(served: Served, computing: Computing, request: schemas.RecommendRequest) -> schemas.RecommendAnswer:
    """The next items of each history. Raises EmbedrecError and Problem, see `problem_of`."""
    with served.find("recommend", request.index, request.model) as source:
        return await _recommend(source, computing, request)


async def _recommend(
    source: Source, computing: Computing, request: schemas.RecommendRequest
) -> schemas.RecommendAnswer:
    recommender = source.recommender
    vocab, messages, histories = recommender.model.vocab, [], []
    for given in _histories(request):
        check_history(given)
        rows: Sequence[int] = await rows_of(source, computing, vocab, given.items, skip=request.skip_unknown)
        history = History(rows, given.times, given.kinds, given.user)
        if -1 in rows:
            messages.append(left_out(list(rows).count(-1), len(rows)))
            history = _without_unknown(history)
        histories.append(history)
    if len(histories) > 1 or any(histories[0].columns[1:]) or is_filtered(request):
        work = partial(_recommend_all, source, histories, request)
        lists, more = await computing.run(work)
    else:
        key = ("recommend batch", request.k, request.exclude_seen, histories[0].columns)
        batch = source.opened(key, lambda: recommend_batch(recommender, request.k, request.exclude_seen))
        lists, more = [await computing.batches.ask(batch, histories[0])], []
    results = [schemas.NextItems(list(map(next_item, items))) for items in lists]
    return schemas.RecommendAnswer(source.version, results, messages + more)


def _recommend_all(
    source: Source, histories: Sequence[History], request: schemas.RecommendRequest
) -> tuple[list[list[RecommendedItem]], list[str]]:
    recommender = source.recommender
    if not is_filtered(request):
        compute = recommend_batch(recommender, request.k, request.exclude_seen).compute
        return list(compute(histories)), []
    allowed = item_filter(source, request)
    lists, messages = [], []
    for history in histories:
        results = recommend_next(
            source.workspace,
            recommender,
            as_sessions([history], recommender.model.vocab),
            request.k,
            allowed,
            exclude_seen=request.exclude_seen,
            explain=request.explain,
        )
        lists.append(results.items)
        messages = results.messages
    return lists, messages


def left_out(unknown: int, items: int) -> str:
    """A remark on unknown items of a history."""
    return f"{unknown:,} of {items:,} items of a history are unknown and left out"


def _histories(request: schemas.RecommendRequest) -> list[HistoryRequest]:
    """The histories of a request. Raises SettingsError unless it has either `items` or `histories`."""
    one = (request.items, request.times, request.kinds, request.user)
    if request.histories is not None:
        if any(value is not None for value in one):
            raise SettingsError("give either items, times, kinds and user of one history, or histories")
        return request.histories
    if request.items is None:
        raise SettingsError("give items, a history, or histories, a list of them")
    return [HistoryRequest(items=request.items, times=request.times, kinds=request.kinds, user=request.user)]


def _without_unknown(history: History) -> History:
    known = [at for at, row in enumerate(history.rows) if row >= 0]
    times = None if history.times is None else [history.times[at] for at in known]
    kinds = None if history.kinds is None else [history.kinds[at] for at in known]
    return History([history.rows[at] for at in known], times, kinds, history.user)


def next_item(item: RecommendedItem) -> schemas.NextItem:
    """A recommended item as it is answered."""
    return schemas.NextItem(
        item.item, item.name, item.rank, item.score, _past(item.sessions), item.parts, item.features
    )


# ---------------------------------------------------------------------------------------------- past sessions, items


async def neighbours(
    served: Served, computing: Computing, request: schemas.NeighboursRequest
) -> schemas.NeighboursAnswer:
    """The nearest past sessions of a history or of a past session. Raises EmbedrecError and Problem."""
    if (request.items is None) == (request.session is None):
        raise SettingsError("give either items, a history, or session, the id of a past session")
    with served.find("neighbours", request.index, request.model) as source:
        past = await computing.run(lambda: source.past_sessions)
        items = list(map(str, request.items or ()))
        session = None if request.session is None else str(request.session)
        nearest = await computing.run(
            _named(past.sessions.vocab, nearest_sessions), past, items, session, request.k or 10
        )
        sessions = [
            schemas.NearSession(n.session, n.rank, n.score, n.time, n.shared, n.items, n.names) for n in nearest
        ]
        return schemas.NeighboursAnswer(source.version, sessions)


async def items(served: Served, computing: Computing, request: schemas.ItemsQuery) -> schemas.ItemsAnswer:
    """Items whose id or name contains a text, or is spelled similarly. Raises UnknownItemError if there are none."""
    source = served.any_source(request.index, request.model)

    def search() -> schemas.ItemsAnswer:
        catalogue = source.catalogue
        matches = search_catalogue(catalogue, request.query)
        matched = [
            schemas.FoundItem(item.item, item.name, item.count, item.features)
            for item in catalogue_items(catalogue, matches.rows[: request.k])
        ]
        return schemas.ItemsAnswer(source.version, matched, matches.nearly, len(matches.rows))

    with source:
        return await computing.run(search)


# ---------------------------------------------------------------------------------------------- common


async def rows_of(
    source: Source, computing: Computing, vocab: Vocab, items: Sequence[Id], *, skip: bool = False
) -> Sequence[int]:
    """The rows of items given as ids or names; −1 for unknown ones if these are to be skipped.

    Raises Problem 404, with near items, for an unknown one.
    """
    texts = [item if isinstance(item, str) else str(item) for item in items]
    rows = vocab.rows_of([parse_id(vocab, text) for text in texts]).tolist() if texts else []
    unknown = [at for at, row in enumerate(rows) if row < 0]
    if not unknown:
        return rows
    names = [texts[at] for at in unknown]
    named = await computing.run(_find_names, source, vocab, names, skip, monotonic() + computing.timeout)
    for at, row in zip(unknown, named, strict=True):
        rows[at] = row
    return rows


def _find_names(source: Source, vocab: Vocab, texts: Sequence[str], skip: bool, end: float) -> list[int]:
    """The rows of names, see `find_items`; −1 for unknown ones if these are to be skipped.

    end  the time of `monotonic` after which no name is searched: nobody waits for the answer any more
    """
    features = item_features(
        source.workspace,
        lambda: source.model,
        vocab,
        None,
        source.artifact if source.artifact.kind == "index" else None,
    )
    find = _named(vocab, partial(find_items, describe=distinguishing_features(features, vocab)))
    rows = []
    for text in texts:
        if monotonic() > end:
            raise Problem(503, "the names of the request could not be found in time; give ids")
        row = (
            _UNKNOWN
            if len(text) > _LONGEST
            else source.remembered(("row", text), partial(_find_name, find, vocab, text), _NAMES)
        )
        if isinstance(row, int):
            rows.append(row)
        elif skip:
            rows.append(-1)
        else:
            raise Problem(row.status, str(row), near=row.near)
    return rows


def _find_name(find: Callable[..., np.ndarray], vocab: Vocab, text: str) -> int | Problem:
    """The row of a name, or the problem if it is unknown: both are remembered, as a search reads all names."""
    try:
        return int(find(vocab, [text])[0])
    except Problem as e:
        return e


_NAMES = 10_000  # names that are remembered
_LONGEST = 1000  # characters of a name
_UNKNOWN = Problem(404, f"no item has a name of more than {_LONGEST:,} characters; give an id or a name")


def _named(vocab: Vocab, work: Callable[..., T]) -> Callable[..., T]:
    """`work`, which raises Problem with the names of near items in place of UnknownItemError."""

    def named(*given: Any) -> T:
        try:
            return work(*given)
        except UnknownItemError as e:
            near = vocab.rows_of(list(e.near))
            raise problem_of(e, dict(zip(e.near, vocab_names(vocab, near), strict=True))) from e

    return named


def vocab_names(vocab: Vocab, rows: np.ndarray) -> list[str]:
    """The names of rows (m,), "" for missing ones."""
    return [vocab.name(row) if row >= 0 else "" for row in rows.tolist()]


def _past(sessions: Sequence[tuple[Any, float]] | None) -> list[PastSession] | None:
    return None if sessions is None else [PastSession(name, round(score, 4)) for name, score in sessions]
