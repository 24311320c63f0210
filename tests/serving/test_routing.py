"""Paths and methods."""

from __future__ import annotations

import pytest

from embedrec.serving.problems import Problem
from embedrec.serving.routes import ROUTES
from embedrec.serving.routing import Router

ROUTER = Router(ROUTES)


@pytest.mark.parametrize(
    ("method", "path", "found", "segment"),
    [
        ("GET", b"/v1/version", "/v1/version", ""),
        ("POST", b"/v1/similar", "/v1/similar", ""),
        ("GET", b"/v1/similar/a", "/v1/similar/{item}", "a"),
        ("GET", b"/v1/similar/a%2Fb/c%20", "/v1/similar/{item}", "a/b/c "),
        ("GET", b"/v1/similar/..%2F..%2Fetc", "/v1/similar/{item}", "../../etc"),
    ],
)
def test_paths_lead_to_routes(method: str, path: bytes, found: str, segment: str) -> None:
    route, text = ROUTER.find(method, path)
    assert (route.method, route.path, text) == (method, found, segment)


@pytest.mark.parametrize(
    ("method", "path", "status", "detail"),
    [
        ("GET", b"/metricss", 404, "there is no route '/metricss'; did you mean '/metrics'?"),
        ("GET", b"/v1/similar/", 404, None),
        ("GET", b"/\xff", 404, None),
        ("DELETE", b"/v1/version", 405, "the route takes GET, not DELETE"),
        ("GET", b"/v1/recommend", 405, "the route takes POST, not GET"),
    ],
)
def test_other_paths_and_methods_are_refused(method: str, path: bytes, status: int, detail: str | None) -> None:
    with pytest.raises(Problem) as caught:
        ROUTER.find(method, path)
    assert caught.value.status == status
    assert detail in (None, str(caught.value))


def test_a_path_that_nearly_exists_is_suggested() -> None:
    with pytest.raises(Problem, match=r"did you mean '/v1/recommend'"):
        ROUTER.find("GET", b"/v1/recomend")
