"""The routes for exploring are those of the service."""

from __future__ import annotations

from embedrec.serving.explore.routes import EXPLORE_ROUTES
from embedrec.serving.routes import ROUTES


def test_they_are_served() -> None:
    assert [(route.method, route.path) for route in EXPLORE_ROUTES] == [
        ("POST", "/v1/items"),
        ("GET", "/v1/past-sessions"),
        ("GET", "/v1/policies"),
        ("GET", "/v1/map"),
        ("GET", "/v1/map/colours"),
        ("GET", "/v1/drift"),
        ("GET", "/"),
        ("GET", "/page/{file}"),
    ]
    assert set(EXPLORE_ROUTES) <= set(ROUTES)
