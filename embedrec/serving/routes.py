"""The routes of the service: the only list of them. Routing, OpenAPI and measurements use it."""

from __future__ import annotations

import asyncio

from embedrec.serving import answers, live_sessions, schemas
from embedrec.serving.explore.routes import EXPLORE_ROUTES
from embedrec.serving.openapi import openapi
from embedrec.serving.reference_page import reference_page
from embedrec.serving.routing import Call, Page, Route
from embedrec.serving.service import Service


async def similar_one(service: Service, call: Call) -> schemas.SimilarAnswer:
    return await answers.similar(service.current(), service.computing, [call.segment], call.request)


async def similar_many(service: Service, call: Call) -> schemas.SimilarAnswer:
    return await answers.similar(service.current(), service.computing, call.request.items, call.request)


async def recommend(service: Service, call: Call) -> schemas.RecommendAnswer:
    return await answers.recommend(service.current(), service.computing, call.request)


async def append_events(service: Service, call: Call) -> schemas.EventsAnswer:
    return await live_sessions.append(
        service.current(), service.computing, service.sessions, service.states, call.segment, call.request
    )


async def recommend_live(service: Service, call: Call) -> schemas.RecommendAnswer:
    return await live_sessions.recommend(
        service.current(), service.computing, service.sessions, service.states, call.segment, call.request
    )


async def delete_session(service: Service, call: Call) -> schemas.DeletedAnswer:
    return await live_sessions.delete(
        service.current(), service.computing, service.sessions, service.states, call.segment
    )


async def neighbours(service: Service, call: Call) -> schemas.NeighboursAnswer:
    return await answers.neighbours(service.current(), service.computing, call.request)


async def items(service: Service, call: Call) -> schemas.ItemsAnswer:
    return await answers.items(service.current(), service.computing, call.request)


async def version(service: Service, call: Call) -> schemas.VersionAnswer:
    return service.version()


async def reload(service: Service, call: Call) -> schemas.VersionAnswer:
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, lambda: service.reload(force=call.request.force))


async def rollback(service: Service, call: Call) -> schemas.VersionAnswer:
    return await asyncio.get_running_loop().run_in_executor(None, service.rollback)


async def live(service: Service, call: Call) -> schemas.Live:
    return schemas.Live("live")


async def ready(service: Service, call: Call) -> schemas.Ready:
    return service.ready()


async def metrics(service: Service, call: Call) -> Page:
    return Page(service.metrics_text(), "text/plain; version=0.0.4; charset=utf-8")


async def description(service: Service, call: Call) -> Page:
    return Page(schemas.encode(openapi(tuple(ROUTES))), "application/json")


async def reference(service: Service, call: Call) -> Page:
    return Page(reference_page(openapi(tuple(ROUTES))), "text/html; charset=utf-8")


ROUTES = [
    Route("GET", "/v1/similar/{item}", similar_one, "The items nearest to an item: an id, a bare id or a name.",
          query=schemas.SimilarQuery, answer=schemas.SimilarAnswer),
    Route("POST", "/v1/similar", similar_many, "The items nearest to each of some items.",
          body=schemas.SimilarRequest, answer=schemas.SimilarAnswer),
    Route("POST", "/v1/recommend", recommend, "The next items of one history or many.",
          body=schemas.RecommendRequest, answer=schemas.RecommendAnswer),
    Route("POST", "/v1/sessions/{id}/events", append_events, "Add events to a live session.",
          body=schemas.EventsRequest, answer=schemas.EventsAnswer),
    Route("GET", "/v1/sessions/{id}/recommend", recommend_live, "The next items of a live session.",
          query=schemas.LiveQuery, answer=schemas.RecommendAnswer),
    Route("DELETE", "/v1/sessions/{id}", delete_session, "Forget a live session.", answer=schemas.DeletedAnswer),
    Route("POST", "/v1/neighbours", neighbours, "The past sessions nearest to a history or to a past session.",
          body=schemas.NeighboursRequest, answer=schemas.NeighboursAnswer),
    Route("GET", "/v1/items", items, "Items by parts of their ids and names, also with typos.",
          query=schemas.ItemsQuery, answer=schemas.ItemsAnswer),
    Route("GET", "/v1/version", version, "What is served: names, fingerprints, measurements.",
          answer=schemas.VersionAnswer),
    Route("POST", "/v1/reload", reload, "Serve what is new in the workspace, in every worker.",
          body=schemas.ReloadRequest, answer=schemas.VersionAnswer, timed=False),
    Route("POST", "/v1/rollback", rollback, "Serve again what was served before, in every worker.",
          body=schemas.RollbackRequest, answer=schemas.VersionAnswer, timed=False),
    *EXPLORE_ROUTES,
    Route("GET", "/health/live", live, "Whether the process runs.", answer=schemas.Live, public=True),
    Route("GET", "/health/ready", ready, "Whether it answers.", answer=schemas.Ready, public=True),
    Route("GET", "/metrics", metrics, "Measurements in the text format of Prometheus."),
    Route("GET", "/openapi.json", description, "This description, as OpenAPI 3.1.", public=True),
    Route("GET", "/docs", reference, "This description, as a page.", public=True),
]  # fmt: skip
