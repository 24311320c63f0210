"""The routes for exploring, which the page uses beside the others."""

from __future__ import annotations

from embedrec.serving.explore import schemas
from embedrec.serving.explore.drift import drift
from embedrec.serving.explore.item_details import item_details
from embedrec.serving.explore.item_map import item_map, map_colours
from embedrec.serving.explore.past_session import past_session
from embedrec.serving.explore.policy_steps import policy_steps
from embedrec.serving.page.files import front_page, page_file
from embedrec.serving.routing import Call, Page, Route
from embedrec.serving.service import Service


async def details(service: Service, call: Call) -> schemas.KnownItems:
    return await item_details(service.current(), service.computing, call.request)


async def policies(service: Service, call: Call) -> schemas.PolicyAnswer:
    return await policy_steps(service.current(), service.computing, call.request)


async def past(service: Service, call: Call) -> schemas.PastSessionAnswer:
    return await past_session(service.current(), service.computing, call.request)


async def places(service: Service, call: Call) -> Page:
    return await item_map(service.current(), service.computing, call.request)


async def colours(service: Service, call: Call) -> Page:
    return await map_colours(service.current(), service.computing, call.request)


async def changes(service: Service, call: Call) -> schemas.DriftAnswer:
    return await drift(service.current(), service.previous, service.computing, call.request)


async def front(service: Service, call: Call) -> Page:
    return front_page()


async def file(service: Service, call: Call) -> Page:
    return page_file(call.segment)


EXPLORE_ROUTES = [
    Route("POST", "/v1/items", details, "Names, counts and features of items by id or row.",
          body=schemas.ItemsRequest, answer=schemas.KnownItems),
    Route("GET", "/v1/past-sessions", past, "A training session by its id: its items in order.",
          query=schemas.PastSessionQuery, answer=schemas.PastSessionAnswer),
    Route("GET", "/v1/policies", policies, "The neighbours of an item before and after each policy.",
          query=schemas.PolicyQuery, answer=schemas.PolicyAnswer),
    Route("GET", "/v1/map", places, "All items in a plane: a head of JSON and binary arrays.", query=schemas.MapQuery,
          media="application/octet-stream", timed=False),
    Route("GET", "/v1/map/colours", colours, "The group of each item of the map by a feature, binary.",
          query=schemas.ColoursQuery, media="application/octet-stream", timed=False),
    Route("GET", "/v1/drift", changes, "What changed between two versions of an index or model.",
          query=schemas.DriftQuery, answer=schemas.DriftAnswer),
    Route("GET", "/", front, "The page to explore what is served.", media="text/html", public=True),
    Route("GET", "/page/{file}", file, "A file of the page.", public=True),
]  # fmt: skip
