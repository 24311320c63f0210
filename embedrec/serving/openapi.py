"""The OpenAPI description of the service, generated from its routes and schemas."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec

from embedrec.serving.problems import TITLES
from embedrec.serving.routing import Route
from embedrec.serving.schemas import ProblemDetails
from embedrec.version import __version__

_REF = "#/components/schemas/{name}"
_ERRORS = {"GET": (400, 401, 404, 421, 422, 429, 503), "POST": (400, 401, 403, 404, 408, 413, 421, 422, 429, 503)}
_ERRORS["DELETE"] = (400, 401, 403, 404, 421, 429, 503)


@cache
def openapi(routes: tuple[Route, ...]) -> dict[str, Any]:
    """The description of routes, as OpenAPI 3.1."""
    schemas, components = _schemas(routes)
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "embedrec",
            "version": __version__,
            "description": "Similar items, next items, past sessions.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
        "security": [{}, {"bearer": []}, {"key": []}],
    }


def _schemas(routes: Sequence[Route]) -> tuple[dict[type, Any], dict[str, Any]]:
    """The schema of each type of the routes, and the components they refer to."""
    types = {kind: None for route in routes for kind in (route.query, route.body, route.answer) if kind is not None}
    kinds: list[Any] = [*types, ProblemDetails]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    return dict(zip(kinds, schemas, strict=True)), components


def parameters(route: Route, components: dict[str, Any]) -> list[dict[str, Any]]:
    """The parameters of the path and of the query string."""
    listed: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    if route.query is not None:
        schema = components[route.query.__name__]
        for name, field in schema["properties"].items():
            one = {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": field}
            listed.append(one | {"explode": True} if "array" in str(field) else one)
    return listed


def _operation(route: Route, schemas: dict[type, Any], components: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {route.media: {"schema": {"type": "string"}}}
    if route.answer is not None:
        content = {"application/json": {"schema": schemas[route.answer]}}
    problem = {"application/problem+json": {"schema": schemas[ProblemDetails]}}
    operation: dict[str, Any] = {
        "operationId": route.method.lower() + re.sub(r"\W+", "_", route.path).rstrip("_"),
        "summary": route.summary,
        "responses": {
            "200": {"description": "The answer.", "content": content},
            **{str(status): {"description": TITLES[status], "content": problem} for status in _ERRORS[route.method]},
        },
    }
    if listed := parameters(route, components):
        operation["parameters"] = listed
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schemas[route.body]}}}
    if route.public:
        operation["security"] = []
    return operation
