"""The list of routes."""

from __future__ import annotations

from embedrec.serving.routes import ROUTES


def test_routes_are_distinct_and_described() -> None:
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)
    assert all(route.summary.endswith(".") and len(route.summary) < 100 for route in ROUTES)


def test_only_routes_without_data_are_public() -> None:
    assert {route.path for route in ROUTES if route.public} == {
        "/health/live", "/health/ready", "/openapi.json", "/docs", "/", "/page/{file}",
    }  # fmt: skip
