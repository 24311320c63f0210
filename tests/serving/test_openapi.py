"""The description fits the service: requests made from it are answered as it says."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from embedrec.serving.openapi import openapi, parameters
from embedrec.serving.routes import ROUTES
from tests.serving.conftest import Client

DESCRIPTION = openapi(tuple(ROUTES))
SCHEMA = schemathesis.openapi.from_dict(json.loads(json.dumps(DESCRIPTION)))
OPERATIONS = [operation.ok() for operation in SCHEMA.get_all_operations()]


def test_every_route_is_described(client: Client) -> None:
    assert client.get("/openapi.json").json() == json.loads(json.dumps(DESCRIPTION))
    described = {(m.upper(), path) for path, operations in DESCRIPTION["paths"].items() for m in operations}
    assert described == {(route.method, route.path) for route in ROUTES}


def test_parameters_are_those_of_the_schemas() -> None:
    route = next(route for route in ROUTES if route.path == "/v1/items")
    listed = parameters(route, DESCRIPTION["components"]["schemas"])
    assert [(one["name"], one["in"], one["required"]) for one in listed] == [
        ("query", "query", True),
        ("k", "query", False),
        ("index", "query", False),
        ("model", "query", False),
    ]


def test_references_lead_to_schemas() -> None:
    text = json.dumps(DESCRIPTION)
    for name in set(text.split("#/components/schemas/")[1:]):
        assert name.partition('"')[0] in DESCRIPTION["components"]["schemas"]


CASES = [(operation, schemathesis.GenerationMode.POSITIVE) for operation in OPERATIONS] + [
    (operation, schemathesis.GenerationMode.NEGATIVE)
    for operation in OPERATIONS
    if operation.query or operation.body  # others cannot be asked wrongly
]


@pytest.mark.parametrize(("operation", "mode"), CASES, ids=lambda given: getattr(given, "label", None) or given.value)
def test_generated_requests_are_answered_as_described(
    client: Client, operation: schemathesis.APIOperation, mode: schemathesis.GenerationMode
) -> None:
    """Valid and invalid ones; no answer is a server error."""

    @settings(
        max_examples=25,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.generate],  # shrinking takes minutes
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case) -> None:
        request = case.as_transport_kwargs(base_url="http://localhost")
        try:
            response = client.send(request["method"], request["url"], **arguments(request))
        except httpx.InvalidURL:  # too long for httpx; scripts/bench/serve.py sends such requests
            return
        described = operation.definition.raw["responses"]
        assert str(response.status_code) in described or response.status_code == 405, response.text
        assert response.status_code < 500, response.text

    check()


def arguments(request: dict[str, Any]) -> dict[str, Any]:
    """The arguments of httpx for those of a transport of schemathesis."""
    names = {"params": "params", "json": "json", "data": "content", "headers": "headers"}
    sent = {names[name]: value for name, value in request.items() if name in names and value is not None}
    return sent if isinstance(sent.get("content", b""), bytes | str) else {**sent, "content": str(sent["content"])}
